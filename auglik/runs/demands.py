"""A lower bound on a run's memory: if even that is not free, the run is refused before anything is trained."""

from functools import lru_cache

import torch

from auglik.networks import NETWORKS, find_network
from auglik.objectives import InputError
from auglik.runs.resolved import ResolvedRun
from auglik.views import Shape
from auglik.views.memory import free_bytes, most_free

VIEW_BATCH_PIXELS = 32 * 32 * 32
"""Pixels of the images whose M views are in one forward pass: 32 images of 32x32."""
FLOAT = 4
DRAWN = 16
"""Bytes of the draws of one view of one image: role, temperature, decay and more."""


def evaluated_at_once(height: int, width: int) -> int:
    """Images whose evaluation views are scored together."""
    return min(128, max(1, VIEW_BATCH_PIXELS // (height * width)))


def check_memory(run: ResolvedRun, shape: Shape, outputs: int) -> None:
    """Raises InputError if a run needs more than is free: for weights, for views or for their draws."""
    channels, height, width = shape
    config, name, images = run.config, run.network_name, run.train_images
    at_once = evaluated_at_once(height, width)
    view = channels * height * width * FLOAT
    free, host = most_free(run.device), free_bytes(torch.device("cpu"))
    needs = (
        (3 * FLOAT * parameters(name, channels, outputs), free, f"the weights of {name}"),
        (config.views * min(config.images_per_step(), images) * view, free, f"the {config.views:,} views of a step"),
        (config.views * images * DRAWN, host, f"the draws of {config.views:,} views of {images:,} images"),
        (config.evaluation.views * at_once * view, free, f"{config.evaluation.views:,} evaluation views of a batch"),
    )
    for needed, available, what in needs:
        if needed > available:
            raise InputError(
                f"{what} take {needed / 2**30:,.1f} GiB at least, and {max(0, available) / 2**30:,.1f} are free"
            )


@lru_cache(maxsize=64)
def parameters(network: str, channels: int, outputs: int) -> int:
    """Weights of a network, counted without making them; 0 for those of libraries and a user's own.

    Raises InputError for sizes that no network can have.
    """
    if network.partition(":")[0] not in NETWORKS:
        return 0
    try:
        with torch.device("meta"):
            built = find_network(network).build(channels, outputs)
    except (RuntimeError, OverflowError, TypeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"network {network}: expected sizes that a network can have ({reason})") from None
    return sum(parameter.numel() for parameter in built.parameters())

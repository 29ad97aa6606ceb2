"""Probes of an augmentation or a mixing, on a few small images, through the pipeline that trains with it."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import cast

import numpy as np
import torch
from torch import Tensor

from auglik.objectives import InputError, Schedule
from auglik.objectives.probes import Probe, expect
from auglik.system.keys import global_generator
from auglik.views.augmentation import OPERATIONS, Augmentation, Parameters, Shape
from auglik.views.mixing.contract import Mixing
from auglik.views.mollification import Mollification
from auglik.views.pipeline import Pipeline
from auglik.views.steps import Step
from auglik.views.store import Gallery

Stage = Augmentation | Mixing

SHAPES = (Shape(3, 32, 32), Shape(1, 28, 28), Shape(1, 8, 8), Shape(3, 64, 64), Shape(3, 224, 224))
IMAGES, VIEWS = 6, 2
CLEAN = Schedule(clean=1.0, noise=0.0, blur=0.0)


def is_mixing(stage: Stage) -> bool:
    return hasattr(stage, "mix")


def shape_for(stage: Stage) -> Shape:
    """The first of SHAPES that it takes. Raises its own InputError where it takes none."""
    if is_mixing(stage):
        return SHAPES[0]
    refusal: InputError | None = None
    for shape in SHAPES:
        try:
            cast(Augmentation, stage).check(shape)
        except InputError as error:
            refusal = error
        else:
            return shape
    raise InputError(str(refusal))


@lru_cache
def gallery_of(shape: Shape) -> Gallery:
    levels = np.random.default_rng(5).integers(0, 256, (IMAGES, *shape), np.uint8)
    return Gallery.pack(levels, [0.5] * shape.channels, [0.25] * shape.channels, torch.device("cpu"))


def pipeline_of(stage: Stage) -> Pipeline:
    """The stage alone."""
    shape = shape_for(stage)
    if is_mixing(stage):
        return Pipeline(shape, (), Mollification(CLEAN), cast(Mixing, stage))
    return Pipeline(shape, (Step("own:probed", cast(Augmentation, stage)),), Mollification(CLEAN))


@contextmanager
def global_state(seed: int) -> Iterator[None]:
    """Every global generator seeded, and afterwards as it was."""
    before, of_python = np.random.get_state(), random.getstate()  # noqa: NPY002
    with global_generator(seed):
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002
            random.setstate(of_python)


def drawn(stage: Stage, seed: int = 0, state: int = 0) -> Parameters:
    with global_state(state):
        return stage.draw(np.random.default_rng(seed), IMAGES, shape_for(stage))


def rendered(stage: Stage, batch: list[int], state: int = 0) -> Tensor:
    """[K,B,c,H,W]"""
    pipeline = pipeline_of(stage)
    with global_state(state):
        draws = pipeline.draw(0, 0, VIEWS, IMAGES, torch.device("cpu"))
    with global_state(state):
        return pipeline.render(gallery_of(pipeline.shape), draws, np.array(batch)).images


def facts(stage: Stage) -> str:
    if is_mixing(stage):
        return repr(stage)
    augmentation = cast(Augmentation, stage)
    domains = ("levels", "standardized")
    expect(augmentation.domain in domains, "domain levels or standardized", repr(augmentation.domain))
    expect(isinstance(augmentation.noisy, bool), "noisy True or False", repr(augmentation.noisy))
    noisy_levels = augmentation.noisy and augmentation.domain == "levels"
    expect(not noisy_levels, "pixel noise on standardized images alone", "noisy with domain levels")
    return f"{augmentation!r} on {augmentation.domain}"


def draws(stage: Stage) -> str:
    parameters = drawn(stage)
    for name, values in parameters.items():
        expect(isinstance(values, np.ndarray), f"an array for {name}", type(values).__name__)
        expect(len(values) == IMAGES, f"{name} [n,...] with n = {IMAGES}", list(values.shape))
    if is_mixing(stage):
        for name in ("partner", "share"):
            expect(name in parameters, f"{name} among the parameters", ", ".join(parameters))
        partner, share = (
            parameters["partner"],
            cast("np.ndarray[tuple[int], np.dtype[np.float32]]", parameters["share"]),
        )
        expect(sorted(partner.tolist()) == list(range(IMAGES)), "partner as a permutation", partner.tolist())
        expect(
            share.dtype == np.float32 and bool(((share >= 0) & (share <= 1)).all()), "float32 shares in [0,1]", share
        )
    return ", ".join(f"{name} {values.dtype} {list(values.shape)}" for name, values in parameters.items()) or "none"


def views(stage: Stage) -> str:
    pipeline = pipeline_of(stage)
    images = rendered(stage, list(range(IMAGES)))
    wanted = (VIEWS, IMAGES, *pipeline.shape)
    expect(images.shape == wanted, f"views [K,B,c,H,W] = {list(wanted)}", list(images.shape))
    expect(images.dtype == torch.float32, "float32 views", images.dtype)
    expect(bool(images.isfinite().all()), "finite views", "NaN or inf")
    clean = gallery_of(pipeline.shape).clean(slice(None))
    return f"{list(images.shape)}, {float((images != clean).float().mean()):.0%} of their values changed"


def report(stage: Stage) -> str:
    """What `applied` reports for each view."""
    if is_mixing(stage):
        return "mixings say what they did in partner and share"
    branches = cast(Augmentation, stage).applied(drawn(stage), shape_for(stage))
    expect(len(branches) > 0, "at least one branch of what was applied", "none")
    for branch in branches:
        steps = branch.operation.shape
        expect(branch.share.shape == (IMAGES,), f"share [n] = {[IMAGES]}", list(branch.share.shape))
        expect(len(steps) == 2 and steps[0] == IMAGES, f"operation [n,S], n = {IMAGES}", list(steps))
        for name in ("magnitude", "visibility"):
            expect(getattr(branch, name).shape == steps, f"{name} {list(steps)}", list(getattr(branch, name).shape))
        known = bool((branch.operation < len(OPERATIONS)).all()) and branch.operation.dtype == np.uint8
        expect(known, "operations as uint8 indices into OPERATIONS", branch.operation.tolist())
        seen = branch.visibility
        expect(bool(((seen >= 0) & (seen <= 1)).all()), "visibility in [0,1]", f"{seen.min()} to {seen.max()}")
    total = sum(branch.share for branch in branches)
    expect(bool(np.allclose(total, 1)), "shares of branches that sum to one", total)
    positions = {int(position) for branch in branches for position in np.unique(branch.operation)}
    return ", ".join(OPERATIONS[position] for position in sorted(positions))


def determined(stage: Stage) -> str:
    first, again = drawn(stage, state=1), drawn(stage, state=2)
    same = first.keys() == again.keys() and all(np.array_equal(first[name], again[name]) for name in first)
    expect(same, "draws from the given generator alone", "others at other states of global generators")
    everything = list(range(IMAGES))
    same = torch.equal(rendered(stage, everything, state=1), rendered(stage, everything, state=2))
    expect(same, "views that their draws determine", "others at other states of global generators")
    return "the same bits whatever the global generators"


def alone(stage: Stage) -> str:
    whole = rendered(stage, list(range(IMAGES)))
    for image in range(IMAGES):
        same = torch.allclose(rendered(stage, [image])[:, 0], whole[:, image], rtol=1e-5, atol=1e-5)
        expect(same, "an image's views the same in a batch of one", f"others for image {image}")
    return "views in a batch of one as in a batch of six"


STAGE_PROBES: Mapping[str, Probe[Stage]] = {
    "facts": facts,
    "draws": draws,
    "views": views,
    "what was applied": report,
    "determined": determined,
    "batch of one": alone,
}


def check_stage(stage: Stage) -> None:
    """Raises InputError for the first probe that fails."""
    probes: list[Callable[[Stage], str]] = list(STAGE_PROBES.values())
    for probe in probes:
        probe(stage)

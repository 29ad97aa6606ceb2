"""How much memory a device has left, and whether images fit into it."""

import os
from pathlib import Path

import torch

from auglik.data import Images
from auglik.system import cgroups
from auglik.system.cards import card_elsewhere
from auglik.system.devices import cards

SHARE = 0.5
"""The share of free memory for images: the rest is for the network, its gradients and its activations."""


def fits(images: Images, device: torch.device) -> bool:
    """Whether all images can stay on the device: one byte per pixel for one channel, four for three."""
    count, channels, height, width = images.shape
    return count * height * width * (1 if channels == 1 else 4) <= SHARE * free_bytes(device)


def free_bytes(device: torch.device) -> int:
    """The free memory of a device in bytes; on a CPU, also within the limits of its control groups."""
    if (card := card_elsewhere(device)) is not None:
        return card.free
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(
            device
        )  # by torch, for its next tensors
        return torch.cuda.mem_get_info(device)[0] + kept
    return int(min(_free_of_machine(), cgroups.free_memory()))


def most_free(device: torch.device) -> int:
    """The free memory of a device; of "cuda", of the card that has the most, as runs go there."""
    if str(device) == "cuda" and torch.cuda.device_count() > 1:
        return max(cards().values(), default=0)
    return free_bytes(device)


def _free_of_machine() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        kilobytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        return 1024 * kilobytes["MemAvailable"]
    except (OSError, ValueError, LookupError):
        # Systems without /proc: half of what there is counts as free.
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2 if hasattr(os, "sysconf") else 2**63

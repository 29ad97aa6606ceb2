"""What CUDA says of this machine's cards, by a process that ends with its answer.

Who asks it of a card makes a context there: memory until the process ends, and on a card in exclusive mode the only
process, so that a run of another would be refused.
"""

import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import torch


class Card(NamedTuple):
    """The answers of one card."""

    refusal: str
    """CUDA's reason why no kernel can run there; empty where one ran."""
    free: int
    """Bytes."""
    bfloat16: str
    """native, emulated or none."""
    capability: str
    """Its compute capability, where it is not native."""


class _Asked:
    """Filled when the first question comes."""

    cards: list[Card] | None = None


_ASKED: ContextVar[_Asked | None] = ContextVar("cards asked elsewhere", default=None)


@contextmanager
def asked_elsewhere() -> Iterator[None]:
    """Within it, `card_elsewhere` knows the cards as they were at its first question: for what only plans runs."""
    token = _ASKED.set(_Asked())
    try:
        yield
    finally:
        _ASKED.reset(token)


def card_elsewhere(device: torch.device) -> Card | None:
    """What another process was told of a CUDA device; None where this one is to ask: it uses CUDA, or will."""
    asked = _ASKED.get()
    if asked is None or device.type != "cuda" or torch.cuda.is_initialized() or not torch.cuda.is_available():
        return None
    if asked.cards is None:
        asked.cards = _answers()
    place = device.index or 0
    return asked.cards[place] if place < len(asked.cards) else None


def _answers() -> list[Card]:
    """Of a fresh process; none where there can be none, or where it finds no cards."""
    try:
        found = subprocess.run([sys.executable, "-P", "-m", __name__], capture_output=True, check=True)
        return [Card(*answers) for answers in json.loads(found.stdout)]
    except (OSError, subprocess.CalledProcessError, ValueError):
        return []


def launch_kernel(device: torch.device) -> None:
    """Raises RuntimeError where none can be: a card answers for itself, with what its driver makes of PTX.

    torch warns of cards without kernels on several lines, of those too that are not used.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="torch.cuda")
        torch.ones(1, device=device)


def card_here(place: int) -> Card:
    """What this process is told of the CUDA device of that number."""
    try:
        launch_kernel(torch.device("cuda", place))
        with torch.cuda.device(place):
            return Card("", torch.cuda.mem_get_info(place)[0], *bfloat16_here())
    except RuntimeError as error:
        return Card((str(error).splitlines() or [type(error).__name__])[0], 0, "none", "")


def bfloat16_here() -> tuple[str, str]:
    """The last two fields of a `Card`, of torch's current CUDA device."""
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return "native", ""
    capability = ".".join(map(str, torch.cuda.get_device_capability()))
    return "emulated" if torch.cuda.is_bf16_supported(including_emulation=True) else "none", capability


if __name__ == "__main__":
    sys.stdout.write(json.dumps([card_here(place) for place in range(torch.cuda.device_count())]))

"""Which seeds a comparison has."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import rich_click as click

from auglik.experiments.cells import MOST_RUNS
from auglik.objectives import InputError
from auglik.settings.fields import LARGEST
from auglik.settings.groups import Group
from auglik.system.paths import shortened

SEEDS = ("seeds", "seed")
F = TypeVar("F", bound=Callable[..., object])


def seed_options(default: str) -> Callable[[F], F]:
    """--seeds and --seed, empty where they are not given; `default` is what help says of that."""

    def add(command: F) -> F:
        command = click.option(
            "--seed",
            multiple=True,
            help="A particular seed, instead of --seeds; repeatable.",
            panel=Group.COMPARED,
        )(command)
        return click.option(
            "--seeds",
            multiple=True,
            help=f"Number of seeds, or a list of them: 5, or 7,9. {default}",
            panel=Group.COMPARED,
        )(command)

    return add


def chosen_seeds(values: dict[str, object], default: Sequence[int]) -> list[int]:
    """Removes `seeds` or `seed` from `values` and reads it. Raises InputError for both, and as `parse_seeds` does."""
    found = {key: values.pop(key) for key in SEEDS if key in values}
    if len(found) > 1:
        raise InputError("expected either seeds (a number or a list) or seed (a particular one), got both")
    if "seed" in found:
        one = found["seed"]
        return parse_seeds(list(one) if isinstance(one, list | tuple) else [one])
    return parse_seeds(found["seeds"]) if "seeds" in found else list(default)


def parse_seeds(value: object) -> list[int]:
    """`5` means seeds 0 to 4; several numbers, repeated or comma-separated, mean those seeds. Raises InputError."""
    explicit = isinstance(value, list)  # a list in a file names seeds, even a list of one
    parts = [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]
    texts = [text.strip() for part in parts for text in part.split(",")]
    shown = shortened(", ".join(parts))
    try:
        numbers = [int(text) for text in texts]
    except ValueError:
        raise InputError(f"seeds: expected a number of seeds or a comma-separated list, got {shown!r}") from None
    count = len(texts) == 1 and not explicit
    if count and numbers[0] > MOST_RUNS:
        raise InputError(
            f"seeds: expected at most {MOST_RUNS:,} seeds, got {shown}: a single number is a count; for one seed give"
            f" --seed {shown}"
        )
    if count and numbers[0] >= 1:
        return list(range(numbers[0]))
    if count or min(numbers, default=-1) < 0 or max(numbers) > LARGEST or len(set(numbers)) < len(numbers):
        raise InputError(
            f"seeds: expected at least one seed, no duplicates, each >= 0 with at most 18 digits, got {shown or 'none'}"
        )
    return numbers

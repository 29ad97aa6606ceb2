"""A progress bar for notebooks and terminals."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm.auto import tqdm

from auglik.system.notices import before_each

UNITS = 1000


@contextmanager
def bar(label: str, hidden: bool) -> Iterator[Callable[[float], None]]:
    """Yields a function that shows the share done: in a notebook as a widget, else as a line on standard error."""
    layout = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}, about {remaining} left"
    with tqdm(total=UNITS, desc=label, disable=hidden, bar_format=layout) as shown, before_each(shown.clear):
        yield lambda done: shown.update(max(0, int(done * UNITS) - shown.n))

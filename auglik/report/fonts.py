"""Letters that matplotlib's own font lacks, as names in Chinese or Korean have, from a font of this machine."""

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

PLACEHOLDERS = "Last Resort"
"""In the name of matplotlib's font of boxes, which has every letter."""


@contextmanager
def legible(figure: Figure) -> Iterator[None]:
    """To be entered around what draws `figure`: every text gets fonts that have its letters, where some are installed.

    Where none has a letter, a box stands in its place, without matplotlib's warning for each.
    """
    texts = figure.findobj(Text)
    families = families_for({letter for text in texts for letter in text.get_text() if not letter.isspace()})
    with matplotlib.rc_context({"font.family": families}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        for text in texts:
            if len(families) > 1:
                text.set_fontfamily(families)
        yield


def families_for(letters: set[str]) -> list[str]:
    """matplotlib's own family of fonts, then as few installed ones as have the rest of the letters that any has."""
    own = [str(name) for name in matplotlib.rcParams["font.family"]]
    missing = {ord(letter) for letter in letters} - _glyphs(
        font_manager.findfont(font_manager.FontProperties(family=own))
    )
    found = []
    for entry in font_manager.fontManager.ttflist if missing else ():
        if missing and PLACEHOLDERS not in entry.name and (has := missing & _glyphs(entry.fname)):
            found.append(entry.name)
            missing -= has
    return [*own, *found]


@functools.cache
def _glyphs(path: str) -> frozenset[int]:
    """The code points of a font; none where it cannot be read."""
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()

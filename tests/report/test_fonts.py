"""Letters that matplotlib's own font lacks."""

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from auglik.report.fonts import families_for, legible

OF_STIX = "\ue000"
"""A letter of a font that comes with matplotlib, and not of its default one."""


def test_a_font_that_has_the_letters_is_taken_where_one_is_installed() -> None:
    own = families_for({"a", "\u00b1", "\u03b3"})
    found = families_for({"a", OF_STIX})
    assert found[: len(own)] == own
    assert [name for name in found[len(own) :] if "STIX" in name]


def test_names_in_letters_that_no_font_has_are_drawn_without_a_warning() -> None:
    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_title(f"\u53c2\u8003 {OF_STIX}")
    axes.set_yticks([0, 1], labels=["\u57fa\u51c6", "\u05d0"])
    axes.plot([0, 1], [0, 1], label="\U00013000")
    figure.legend(loc="outside lower center")
    with legible(figure):
        figure.savefig(io.BytesIO(), format="png")  # a warning is an error in tests
    assert all("STIXNonUnicode" in text.get_fontfamily() for text in figure.findobj(Text) if text.get_text())

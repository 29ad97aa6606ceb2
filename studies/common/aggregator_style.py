"""How the aggregators are drawn, the same in every figure: colours of Okabe & Ito 2008, a marker each."""

from typing import NamedTuple


class Style(NamedTuple):
    """A colour and a marker."""

    color: str
    marker: str


STYLES: dict[str, Style] = {
    "jensen": Style("#000000", "s"),
    "log-mean": Style("#0072B2", "o"),
    "durbin-koopman": Style("#D55E00", "^"),
    "jackknife": Style("#009E73", "v"),
    "power-mean": Style("#CC79A7", "D"),
    "geometric-normalized": Style("#E69F00", "P"),
    "geometric": Style("#56B4E9", "X"),
    "thermodynamic": Style("#7F7F7F", "p"),
    "sumo": Style("#8C564B", "<"),
    "multilevel": Style("#6A3D9A", ">"),
}

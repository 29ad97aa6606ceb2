"""What a study is: claims, each tested against an independent computation, the data behind them, and pictures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import xarray
from matplotlib.figure import Figure

from auglik.system.files import atomic_write


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A statement about one number: `value` is within `tolerance` of `reference`, in the sense of `relation`.

    `reference` comes from a computation that shares no formula with that of `value`, or from the statement itself (a
    bound, a rate). A Monte Carlo claim takes its tolerance from the standard error.
    """

    text: str
    relation: str
    value: float
    reference: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """NaN never holds."""
        excess = self.value - self.reference
        if self.relation == "<=":
            return excess <= self.tolerance
        if self.relation == ">=":
            return -excess <= self.tolerance
        return abs(excess) <= self.tolerance

    def line(self) -> str:
        """The claim as one line of text."""
        mark = "holds" if self.holds else "FAILS"
        excess, allowed = self.value - self.reference, [f"tolerance {self.tolerance:.2g}"]
        if self.relation == "=":
            allowed.append(f"off by {abs(excess):.2g}")
        elif (past := excess if self.relation == "<=" else -excess) > 0:
            allowed.append(f"past it by {past:.2g}")
        elif self.tolerance == 0:
            allowed = []
        shown = f" ({', '.join(allowed)})" if allowed else ""
        return f"{mark}  {self.text}: {self.value:.6g} {self.relation} {self.reference:.6g}{shown}"


def equal(text: str, value: float, reference: float, tolerance: float) -> Claim:
    """`value` is `reference`, to within `tolerance`."""
    return Claim(text=text, relation="=", value=float(value), reference=float(reference), tolerance=float(tolerance))


def at_most(text: str, value: float, bound: float, tolerance: float = 0.0) -> Claim:
    """`value` is `bound` or less, to within `tolerance`."""
    return Claim(text=text, relation="<=", value=float(value), reference=float(bound), tolerance=float(tolerance))


def at_least(text: str, value: float, bound: float, tolerance: float = 0.0) -> Claim:
    """`value` is `bound` or more, to within `tolerance`."""
    return Claim(text=text, relation=">=", value=float(value), reference=float(bound), tolerance=float(tolerance))


def true(text: str, holds: bool) -> Claim:
    """A statement that is true or false, as 1 or 0."""
    return Claim(text=text, relation="=", value=float(holds), reference=1.0, tolerance=0.0)


class Context(NamedTuple):
    """How a study is run."""

    quick: bool
    """Fewer draws, points and cases, and so fewer claims."""
    seed: int
    data: str | None
    """A data set (name or path) for studies of real images besides their own; None for theirs only."""
    progress: Callable[[float], None]
    """Told, now and then, the share of the study that is done."""


class Findings(NamedTuple):
    """What a study found: its claims, the numbers behind them, its figures by file name, and remarks for a reader."""

    claims: Sequence[Claim]
    data: xarray.DataTree
    figures: Mapping[str, Figure]
    remarks: Sequence[str] = ()


class Study(Protocol):
    """A study is a function."""

    def __call__(self, context: Context) -> Findings: ...


def save(findings: Findings, folder: Path, name: str) -> list[Path]:
    """Writes NAME.nc, and every figure as PNG and SVG, into `folder`, each whole; returns the files."""
    files = [folder / f"{name}.nc"]
    atomic_write(files[0], lambda file: file.writelines([findings.data.to_netcdf(engine="h5netcdf")]))
    for title, figure in findings.figures.items():
        for kind in ("png", "svg"):
            target = folder / f"{title}.{kind}"
            atomic_write(target, lambda file, kind=kind, figure=figure: figure.savefig(file, format=kind, dpi=120))  # type: ignore[misc]
            files.append(target)
    return files

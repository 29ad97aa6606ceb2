"""Differences in every endpoint as pictures: a forest of the main ones, and a heat map of all."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import NamedTuple

from auglik.inference.corruption import Corrupted, Posited
from auglik.inference.differences.rows import Inference, Metric, Primary
from auglik.inference.rule import outcome
from auglik.report.content import Datum, Figure
from auglik.report.figures.forest import Forest, Line, forest, percent
from auglik.report.figures.heat_map import HeatMap, Tile, heat_map
from auglik.report.figures.outcome import CONCLUDED, DECIDED, OUTCOMES, key
from auglik.scoring.columns import PART_TITLES, PRINTED, digits_of, fixed

LIKELIHOOD = "nats (likelihood)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """A metric of an inference, its title, the unit of its differences, and whether less of it is better."""

    metric: str
    title: str
    unit: str
    scale: float = 1.0
    less: bool = True


DIFFERENCE_UNITS = {"%": "points"}
"""Of the difference of two values in a unit, where they are others."""
MARGINAL_ENDPOINT = Endpoint(metric="marginal_log_likelihood_corrected", title="marginal", unit="nats", less=False)
PANELS: Mapping[str, tuple[Endpoint, ...]] = {
    title: tuple(
        Endpoint(
            metric=f"{part}_{column.name}",
            title=column.label,
            unit=DIFFERENCE_UNITS.get(column.unit, column.unit),
            scale=column.scale,
        )
        for column in PRINTED
    )
    + (MARGINAL_ENDPOINT,) * (part == "folded")
    for part, title in PART_TITLES.items()
}
WEIGHED = (
    (Endpoint(metric="clean_error", title="Clean error", unit="percentage points", scale=100.0), False),
    (Endpoint(metric="mollified_nll", title="Mollified NLL", unit="nats"), True),
)
"""The panels next to the primary endpoint, and whether each is a likelihood."""


class Difference(NamedTuple):
    """A cell less its reference, and what is known of it."""

    mean: float
    outcome: str


def forests(inference: Inference) -> Iterator[Figure]:
    """One figure for every reference: the primary endpoint, then error and mollified images."""
    rows, by_key = inference.primary, _metrics(inference)
    for place, reference in enumerate(dict.fromkeys(row.reference for row in rows)):
        of_reference = [row for row in rows if row.reference == reference]
        panels = [_primary(of_reference, inference.rope)]
        for endpoint, likelihood in WEIGHED:
            found = {row.cell: by_key[row.cell, endpoint.metric] for row in of_reference}
            panels.append(_exploratory(endpoint, found, likelihood))
        equal = f"; shaded: practically equal, within ±{inference.rope:g} nats" if inference.rope else ""
        caption = (
            f"Differences from {reference}; left of zero is better. In brackets, nats as a change of "
            f"the likelihood of the right label{equal}. Clean NLL, the primary endpoint, is for new seeds and images, "
            "the rest, exploratory, for new seeds. Intervals: 95% per cell; verdicts account for all cells (Holm)."
        )
        drawings = tuple(forest(panel, f"{panel.title}: {_said(panel)}") for panel in panels)
        data = tuple(datum for panel in panels for datum in _data(panel))
        yield Figure(
            key="forest" if place == 0 else f"forest-{place + 1}", caption=caption, drawings=drawings, data=data
        )


def overview(inference: Inference, corrupted: Corrupted) -> Figure:
    """The heat map of all cells and endpoints."""
    by_key = _metrics(inference)
    panels = [
        _map(
            title,
            endpoints,
            {row.cell: [_tiled(row, one, inference, by_key) for one in endpoints] for row in inference.primary},
        )
        for title, endpoints in PANELS.items()
    ]
    found = {row.cell: {"all": row.overall, **row.categories} for row in corrupted.cells if row.overall}
    for parts in dict.fromkeys(tuple(of_cell) for of_cell in found.values()):
        tiles = {cell: [_posited(one) for one in by.values()] for cell, by in found.items() if tuple(by) == parts}
        panels.append(
            _map("NLL under corruption", [Endpoint(metric=name, title=name, unit="nats") for name in parts], tiles)
        )
    drawings = [heat_map(panel, f"{panel.title}: {_counted(panel)}") for panel, _ in panels]
    tiles_shown = [tile for panel, _ in panels for tiles in panel.tiles.values() for tile in tiles]
    legend = key({tile.outcome for tile in tiles_shown}, "What the tiles mean")
    return Figure(
        key="endpoints", caption=_caption(tiles_shown, inference.rope), drawings=(*drawings, legend),
        data=tuple(one for _, data in panels for one in data), columns=2,
    )  # fmt: skip


def _caption(tiles: Sequence[Tile], rope: float) -> str:
    """What the tiles that occur mean."""
    found = {tile.outcome for tile in tiles}
    said = ["All endpoints: difference from the reference."]
    if not found.isdisjoint(DECIDED):
        said.append(
            "Better and worse tiles bear a mark and are deeper for greater differences, relative to the endpoint's "
            "greatest."
        )
    if "equal" in found:
        said.append(f"Practically equal, which is asked of clean NLL alone: within ±{rope:g} nats.")
    if "undecided" in found:
        said.append("Where the data cannot tell, tiles are hatched.")
    if "unknown" in found:
        said.append(
            "So are those of which nothing is known" if "undecided" in found else "Nothing is known of hatched tiles"
        )
        said[-1] += ": of one seed or image, of seeds that do not differ, or of scores that are not finite."
    return " ".join([*said, "All but clean NLL is exploratory."])


def compact(value: float, unit: str, *, known: bool = False) -> str:
    """With three digits or so, one more where a value would nearly vanish, and a sign where it does not.

    With as many as it takes to see on which side of 0 it lies where something is `known` of it.
    """
    if not math.isfinite(value):
        return "–"
    digits = {"points": 2, "%": 1}.get(unit, 3)
    digits = max(0, digits + (abs(value) < 10.0**-digits) - (abs(value) >= 10) - (abs(value) >= 100))
    shown = fixed(value, digits_of(abs(value), digits) if known and value else digits, sign=True)
    return shown.replace("-", "−") if float(shown) else shown[1:]


def _metrics(inference: Inference) -> dict[tuple[str, str], Metric]:
    return {(row.cell, row.metric): row for row in inference.metrics}


def _primary(rows: Sequence[Primary], rope: float) -> Forest:
    lines = []
    for row in rows:
        mean, lower, upper = _of_primary(row)
        lines.append(
            Line(
                label=row.cell,
                mean=mean,
                lower=lower,
                upper=upper,
                outcome=row.outcome,
                shown=in_words(mean, row.outcome, likelihood=True),
            )
        )
    return Forest(
        title="Clean NLL, the primary endpoint", axis="NLL less the reference's, nats", unit=LIKELIHOOD, lines=lines,
        rope=rope, likelihood=True,
    )  # fmt: skip


def _of_primary(row: Primary) -> tuple[float, float, float]:
    if row.effect is None:
        return row.mean, nan, nan
    return row.effect.mean, row.effect.lower, row.effect.upper


def _exploratory(endpoint: Endpoint, rows: Mapping[str, Metric], likelihood: bool) -> Forest:
    lines = []
    for cell, row in rows.items():
        mean, lower, upper = (endpoint.scale * value for value in (row.mean, row.lower, row.upper))
        kind = _outcome(row)
        said = in_words(mean, kind, likelihood=likelihood)
        lines.append(Line(label=cell, mean=mean, lower=lower, upper=upper, outcome=kind, shown=said))
    axis = f"{endpoint.title.split()[-1]} minus the reference's, {endpoint.unit}"
    return Forest(
        title=f"{endpoint.title}, exploratory", axis=axis, unit=LIKELIHOOD if likelihood else "points", lines=lines,
        likelihood=likelihood,
    )  # fmt: skip


def in_words(mean: float, outcome: str, *, likelihood: bool) -> str:
    """A difference as a forest shows it: for an NLL with the change of the likelihood in percent."""
    known = outcome in CONCLUDED
    if not likelihood or not math.isfinite(mean):
        return compact(mean, "points", known=known)
    return f"{compact(mean, 'nats', known=known)} ({compact(percent(mean), '%', known=known)}%)"


def _data(panel: Forest) -> Iterator[Datum]:
    for one in panel.lines:
        yield Datum(one.label, panel.title, one.mean, one.shown)
        yield Datum(one.label, f"{panel.title}: lower", one.lower)
        yield Datum(one.label, f"{panel.title}: upper", one.upper)
        if panel.likelihood:
            yield Datum(one.label, f"{panel.title}: likelihood, change in %", percent(one.mean), one.shown)


def _tiled(
    row: Primary, endpoint: Endpoint, inference: Inference, by_key: Mapping[tuple[str, str], Metric]
) -> Difference:
    if endpoint.metric == "clean_nll":
        return Difference(_of_primary(row)[0], row.outcome)
    metric = by_key[row.cell, endpoint.metric]
    return Difference(endpoint.scale * metric.mean, _outcome(metric, less=endpoint.less))


def _posited(one: Posited) -> Difference:
    return Difference(one.mean, one.outcome)


def _outcome(row: Metric, *, less: bool = True) -> str:
    """By Holm over the cells, as the starred tables have it."""
    return outcome(row.p_adjusted, 1.0, row.mean if less else -row.mean)


def _map(
    title: str, endpoints: Sequence[Endpoint], found: Mapping[str, Sequence[Difference]]
) -> tuple[HeatMap, list[Datum]]:
    most = [
        max((abs(row[place].mean) for row in found.values() if math.isfinite(row[place].mean)), default=0.0) or 1.0
        for place in range(len(endpoints))
    ]
    tiles = {
        cell: [
            Tile(
                compact(one.mean, endpoint.unit, known=one.outcome in CONCLUDED),
                one.outcome,
                abs(one.mean) / top,
                f"{cell}, {endpoint.title}: {OUTCOMES[one.outcome].word}",
            )
            for one, endpoint, top in zip(row, endpoints, most, strict=True)
        ]
        for cell, row in found.items()
    }
    data = [
        Datum(cell, f"{title}: {endpoint.title}", one.mean, tile.shown)
        for cell, row in found.items()
        for one, endpoint, tile in zip(row, endpoints, tiles[cell], strict=True)
    ]
    return HeatMap(title, [(one.title, one.unit) for one in endpoints], tiles), data


def _said(panel: Forest) -> str:
    return "; ".join(f"{one.label} {one.shown}, {OUTCOMES[one.outcome].word}" for one in panel.lines)


def _counted(panel: HeatMap) -> str:
    shown = [tile.outcome for tiles in panel.tiles.values() for tile in tiles]
    return ", ".join(f"{shown.count(name)} {look.word}" for name, look in OUTCOMES.items() if name in shown)

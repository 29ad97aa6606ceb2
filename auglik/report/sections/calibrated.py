"""Calibration: reliability with posterior bands, ECE, recalibration, temperature scaling."""

from collections.abc import Mapping

import numpy as np

from auglik.inference.calibration import Calibration
from auglik.inference.calibration.results import Band, CellCalibration, Curve
from auglik.inference.calibration.storage import REPORTED
from auglik.inference.calibration.temperature import Scaling
from auglik.inference.convergence import diagnose
from auglik.report.content import (
    Datum,
    Details,
    Figure,
    Row,
    Section,
    Shown,
    Table,
    bounds,
    count,
    interval,
    listed,
    number,
    words,
)
from auglik.report.figures.intervals import Estimate, Intervals, Kind, intervals
from auglik.report.figures.reliability import Reliability, histogram, reliability
from auglik.report.figures.style import Style
from auglik.report.sections.scores import over_seeds
from auglik.scoring.columns import ECE
from auglik.system.array_types import Float64Array

CAPTIONS = {
    "reliability": (
        "Reliability: accuracy minus confidence; above zero is underconfident. Posterior mean of the cell's curve with "
        "50% and 95% bands; points are the observed values of all seeds together, larger for more images."
    ),
    "confidence": (
        "Confidence: the share of images per bin in %, on a logarithmic axis, all seeds together. Dashed: mean "
        "confidence; solid: accuracy."
    ),
    "ece": (
        "Expected calibration error of these networks: its 95% interval, starting at 0 if they may be calibrated; "
        "the debiased estimate, and the plug-in one, which is biased upwards."
    ),
}


def calibrated(calibration: Calibration, styles: Mapping[str, Style]) -> Section:
    """Figures and tables of the clean test images' calibration."""
    cells = calibration.cells
    figures = (_reliability(cells, styles), _ece(cells), _confidence(cells, styles))
    claims = dict.fromkeys(cell.claim for cell in cells.values())
    return Section(
        "calibration",
        "Calibration",
        (*_verdicts(cells), *(f"The claim about curve and line: {claim}." for claim in claims)),
        (*figures, _errors(cells), _lines(cells), _temperature(cells), _sampler(calibration), _curves(cells)),
    )


def _reliability(cells: Mapping[str, CellCalibration], styles: Mapping[str, Style]) -> Figure:
    """A small panel a cell, on one vertical axis."""
    drawn = {name: _seen(cell.curve) for name, cell in cells.items()}
    extents = [one.extent() for one in drawn.values()]
    extent = min(low for low, _ in extents), max(high for _, high in extents)
    drawings = tuple(
        reliability(
            name,
            one,
            styles[name],
            extent,
            f"Reliability of {name}: gaps from {one.extent()[0]:+.2f} to {one.extent()[1]:+.2f}",
        )
        for name, one in drawn.items()
    )
    data = tuple(
        Datum(f"{name}, confidence {c:.4f}", column, value)
        for name, one in drawn.items()
        for c, *values in zip(
            one.confidence, one.accuracy, one.counts, one.curve, *one.bands[0], *one.bands[1], strict=True
        )
        for column, value in zip(
            ("accuracy", "images", "curve", "lower 95%", "upper 95%", "lower 50%", "upper 50%"), values, strict=True
        )
    )
    return Figure(key="reliability", caption=CAPTIONS["reliability"], drawings=drawings, data=data)


def _seen(curve: Curve) -> Reliability:
    """The bins that have images."""
    seen, posterior = curve.counts > 0, curve.posterior
    bands = ((posterior.lower_95, posterior.upper_95), (posterior.lower_50, posterior.upper_50))

    def kept(row: Float64Array) -> list[float]:
        return [float(value) for value in row[seen]]

    return Reliability(
        confidence=kept(curve.confidence), accuracy=kept(curve.accuracy), counts=kept(curve.counts),
        curve=kept(posterior.mean), bands=[(kept(lower), kept(upper)) for lower, upper in bands],
    )  # fmt: skip


def _ece(cells: Mapping[str, CellCalibration]) -> Figure:
    """The debiased estimates with their intervals and the plug-in ones, means over seeds."""
    kinds = (Kind("debiased, 95% interval", "blue", "o"), Kind("plug-in, biased upwards", "vermilion", "s", False))
    rows = {}
    for name, cell in cells.items():
        debiased, plug_in = (100 * float(one.mean()) for one in (cell.errors.debiased, cell.errors.plug_in))
        rows[name] = (Estimate(debiased, *(100 * limit for limit in cell.ece)), Estimate(plug_in))
    data = tuple(
        Datum(name, f"{kind.title}{part}", value)
        for name, estimates in rows.items()
        for kind, one in zip(kinds, estimates, strict=True)
        for part, value in zip(("", ": lower", ": upper"), one, strict=True)
    )
    drawing = intervals(Intervals("Expected calibration error", "ECE, %", kinds, rows), CAPTIONS["ece"])
    return Figure(key="ece", caption=CAPTIONS["ece"], drawings=(drawing,), data=data)


def _confidence(cells: Mapping[str, CellCalibration], styles: Mapping[str, Style]) -> Figure:
    """The share of images by bin of confidence, a small panel a cell."""
    drawings, data = [], list[Datum]()
    for name, cell in cells.items():
        curve = cell.curve
        total = curve.counts.sum()
        shares = [float(100 * count / total) for count in curve.counts]
        right = curve.counts > 0
        mean = float((curve.confidence * curve.counts).sum() / total)
        accuracy = float((curve.accuracy[right] * curve.counts[right]).sum() / total)
        label = f"Confidence of {name}: {mean:.3f} on average, accuracy {accuracy:.3f}"
        drawings.append(
            histogram(name, [float(edge) for edge in curve.edges], shares, mean, accuracy, styles[name], label)
        )
        data += [Datum(name, "mean confidence", mean), Datum(name, "accuracy", accuracy)]
        data += [
            Datum(f"{name}, from {low:.3f}", "images, %", share)
            for low, share in zip(curve.edges[:-1], shares, strict=True)
        ]
    return Figure(key="confidence", caption=CAPTIONS["confidence"], drawings=tuple(drawings), data=tuple(data))


def calibration_warnings(calibration: Calibration) -> list[str]:
    """That the sampler is unreliable."""
    return calibration.diagnostics.warnings("the calibration model")


def _verdicts(cells: Mapping[str, CellCalibration]) -> tuple[str, ...]:
    """Which cells are miscalibrated, and by how much the others may be, in sentences."""
    found = [name for name, cell in cells.items() if cell.ece.lower > 0]
    limits = {name: cell.ece.upper for name, cell in cells.items() if name not in found}
    others = [f"{name} {100 * limit:.{ECE.telling(100 * limit)}f}%" for name, limit in limits.items()]
    test = "each cell by a separate test that calls calibrated networks so in about 2.5% of cases"
    test += " if test images are independent of each other"
    said = [f"Miscalibrated, {test}: {listed(found)}."]
    if others:
        said.append(f"May be calibrated, with an ECE of at most (a 97.5% limit for each cell): {listed(others)}.")
    return tuple(said)


def _errors(cells: Mapping[str, CellCalibration]) -> Table:
    rows = tuple(
        Row(
            name,
            (
                over_seeds(list(cell.errors.debiased), 2, 100),
                bounds(100 * cell.ece.lower, 100 * cell.ece.upper, ECE.telling(100 * cell.ece.lower), sign=False),
                words("no" if cell.ece.lower > 0 else "may be"),
                over_seeds(list(cell.errors.plug_in), 2, 100),
                over_seeds(list(cell.errors.debiased_squared), 3, 1e4),
                over_seeds(list(cell.errors.equal_mass), 2, 100),
                over_seeds(list(cell.errors.classwise), 2, 100),
            ),
        )
        for name, cell in cells.items()
    )
    columns = (
        "cell", "debiased ECE %", "ECE %, 95% interval", "calibrated?", "plug-in %", "debiased squared, %²",
        "equal-mass %", "classwise %",
    )  # fmt: skip
    bins = {cell.histogram.shape[1] for cell in cells.values()}.pop()
    note = (
        "Estimates: means ± standard errors over seeds. The debiased ones are 0 in expectation if a model is "
        "calibrated; the others are positive even then. The interval is for the mean ECE of these "
        f"networks, in {bins} bins, on other images like these; if it starts at 0 they may be calibrated, and its end "
        "is a 97.5% limit."
    )
    return Table(key="ece", caption="Calibration errors on clean test images", columns=columns, rows=rows, note=note)


def _lines(cells: Mapping[str, CellCalibration]) -> Table:
    rows = tuple(
        Row(
            name,
            (
                _band(cell.slope, 1, 3),
                _band(cell.intercept, 1, 3),
                words(_reading(cell)),
                number(cell.image_correlation, 2),
            ),
        )
        for name, cell in cells.items()
    )
    return Table(
        key="recalibration",
        caption="Logistic recalibration: logit p(correct) = intercept + slope logit(confidence)",
        columns=("cell", "slope [95%]", "intercept [95%]", "slope says", "seeds' errors on an image correlate"),
        rows=rows,
        note="Slope 1 and intercept 0 mean calibrated; a slope below 1, that overconfidence grows with confidence.",
    )


def _reading(cell: CellCalibration) -> str:
    if float(cell.slope.upper_95) < 1:
        return "too extreme"
    return "too timid" if float(cell.slope.lower_95) > 1 else "may be 1"


def _temperature(cells: Mapping[str, CellCalibration]) -> Table:
    rows = []
    for name, cell in cells.items():
        found = [one for one in cell.temperature if one is not None]
        rows.append(Row(name, _scalings(found) if found else (count(0), *(words("") for _ in range(6)))))
    columns = (
        "cell", "runs", "temperature", "NLL before", "NLL after", "ECE % before", "ECE % after", "runs at a bound",
    )  # fmt: skip
    chosen = any(one is not None for cell in cells.values() for one in cell.temperature)
    return Table(
        key="temperature",
        caption="Temperature scaling: one temperature per run, chosen on its validation images, scored on the test "
        "images",
        columns=columns,
        rows=tuple(rows),
        note="A temperature above 1 softens. At a bound: validation NLL still falls there, e.g. with few validation "
        "images."
        if chosen
        else "No run held images out to choose a temperature by; validation_fraction=0.1 does.",
    )


def _scalings(found: list[Scaling]) -> tuple[Shown, ...]:
    return (
        count(len(found)),
        over_seeds([one.temperature for one in found], 3),
        over_seeds([one.nll_before for one in found], 4),
        over_seeds([one.nll_after for one in found], 4),
        over_seeds([one.ece_before for one in found], 2, 100),
        over_seeds([one.ece_after for one in found], 2, 100),
        count(sum(one.at_bound for one in found)),
    )


def _curves(cells: Mapping[str, CellCalibration]) -> Details:
    """What the reliability figure shows, in numbers."""
    rows = []
    for name, cell in cells.items():
        curve, posterior = cell.curve, cell.curve.posterior
        for b in np.flatnonzero(curve.counts > 0):
            mean, lower, upper = (100 * row[b] for row in (posterior.mean, posterior.lower_95, posterior.upper_95))
            entries = (
                count(curve.counts[b]),
                number(100 * curve.confidence[b], 1),
                number(100 * curve.accuracy[b], 1),
                interval(mean, lower, upper, 1, sign=False),
            )
            rows.append(Row(f"{name}, {curve.edges[b]:.2f} to {curve.edges[b + 1]:.2f}", entries))
    columns = ("cell and bin", "images, all seeds", "confidence %", "accuracy %", "posterior % [95%]")
    table = Table(key="reliability", caption="Reliability by bin of confidence", columns=columns, rows=tuple(rows))
    return Details("Reliability in numbers, by bin of confidence", (table,))


def _sampler(calibration: Calibration) -> Table:
    """Diagnostics of every reported quantity, the worst over cells, and of all that was sampled."""
    found, posterior = calibration.diagnostics, calibration.data["posterior"]
    diverging = np.asarray(calibration.data["sample_stats"]["diverging"])
    rows = []
    for name in REPORTED:
        of_name = diagnose({name: np.asarray(posterior[name])}, diverging)
        entries = number(of_name.r_hat, 4), count(of_name.ess_bulk), count(of_name.ess_tail), words("")
        rows.append(Row(name, entries))
    everything = (number(found.r_hat, 4), count(found.ess_bulk), count(found.ess_tail), count(found.divergences))
    return Table(
        key="sampler-calibration",
        caption=f"The calibration model's sampler: {found.chains} chains of {found.draws:,} draws per cell",
        columns=("quantity", "worst R-hat", "least bulk ESS", "least tail ESS", "divergences"),
        rows=(*rows, Row("all parameters", everything)),
    )


def _band(band: Band, scale: float, digits: int) -> Shown:
    mean, lower, upper = (scale * float(value) for value in (band.mean, band.lower_95, band.upper_95))
    return interval(mean, lower, upper, digits, sign=False)

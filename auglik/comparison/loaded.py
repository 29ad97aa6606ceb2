"""A finished comparison: its runs as a table, and what follows from them."""

import base64
from dataclasses import asdict
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, final

from auglik.report import Report, ReportSettings, write_report
from auglik.report.collect import Collected, collect
from auglik.report.keep import Kept, keep
from auglik.runs.settings import flatten
from auglik.runs.tested import met_before

if TYPE_CHECKING:  # what takes seconds to import is imported when it is asked for
    import pandas
    import xarray
    from matplotlib.axes import Axes

    from auglik.inference import Inference


@final
class Comparison:
    """The finished runs in the output folder of a comparison.

    Everything is computed on first use, by the rules of the report: `differences`, `verdicts` and
    `inference` are those that `report` writes. In a notebook it shows its verdicts and the forest of differences.
    """

    def __init__(self, folder: Path, reference: str | None = None, rope: float = ReportSettings.rope) -> None:
        """Reads the runs. Raises InputError if there are none, and for a reference that is not a cell."""
        self.folder, self._reference, self._rope = folder, reference, rope
        self._collected: Collected = collect(folder, reference)

    @property
    def cells(self) -> tuple[str, ...]:
        """References first."""
        return tuple(self._collected.cells)

    @property
    def references(self) -> dict[str, str]:
        """The cell that each cell is compared with; a reference maps to itself."""
        return dict(self._collected.references)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was left out of the comparison, and why; test images that are copies or were trained on."""
        return (*self._collected.warnings, *self._met_before, *self.inference.warnings)

    @property
    def _met_before(self) -> list[str]:
        return met_before(cell.first for cell in self._collected.cells.values())

    @cached_property
    def runs(self) -> "pandas.DataFrame":
        """One row per run: cell, every setting by its flat name, then every score; likelihoods in nats."""
        import pandas

        rows = []
        for name, cell in self._collected.cells.items():
            for run in cell.runs.values():
                rows.append({"cell": name, **flatten(run.config), **run.results.scores, "folder": str(run.folder)})
        return pandas.DataFrame(rows)

    @cached_property
    def inference(self) -> "Inference":
        """Differences from the references with their uncertainty, as `auglik.inference.infer` has them."""
        from auglik.inference import infer

        return infer(self._collected.predictions(), self._collected.references, rope=self._rope)

    @property
    def verdicts(self) -> tuple[str, ...]:
        """One sentence per cell: clean NLL against its reference, for new seeds and new test images."""
        return tuple(row.verdict for row in self.inference.primary)

    def differences(self) -> "pandas.DataFrame":
        """One row per cell and metric: the mean difference from the reference, paired by seed, and its 95% interval.

        Clean NLL (nats per test image, less is better) is the primary endpoint: its interval is for new seeds and new
        test images, and `outcome` is decided by Holm's p over all cells. All other metrics are exploratory, for new
        seeds on these test images; their `p_adjusted` allows for the cells of one metric.
        """
        import pandas

        outcomes = {row.cell: row.outcome for row in self.inference.primary}
        rows = [
            asdict(row) | {"outcome": None if row.exploratory else outcomes[row.cell]} for row in self.inference.metrics
        ]
        return pandas.DataFrame(rows)

    def calibration(self, *, draws: int = 1000, seed: int = 0) -> "xarray.DataTree":
        """Posteriors of every cell's calibration on clean images for ArviZ: reliability curve, intercept and slope.

        Four chains of `draws`. Raises InputError if a run's predictions are not numbers.
        """
        from auglik.inference.calibration import calibrate

        runs = {cell: of_cell for cell, of_cell in self._collected.predictions().items() if of_cell}
        return calibrate(runs, seed=seed, draws=draws).data

    def report(self, path: str | Path | None = None, settings: ReportSettings | None = None) -> Report:
        """Writes the report into a folder (`report` in the comparison's own). Raises InputError as `write_report`.

        Its reference and `rope` are the comparison's, unless there are `settings`.
        """
        if settings is None:
            settings = ReportSettings(reference=self._reference, rope=self._rope)
        return write_report(self.folder, Path(path) if path is not None else self.folder / "report", settings)

    def keep(self, path: str | Path) -> Kept:
        """Writes what a report needs into a folder, small enough to be committed. Raises InputError as `keep`."""
        return keep(self.folder, Path(path))

    def plot_forest(self, metric: str = "clean_nll", ax: "Axes | None" = None) -> "Axes":
        """Differences of one metric from the reference with their 95% intervals, drawn with matplotlib.

        Raises InputError for a metric that was not compared.
        """
        from auglik.comparison.forest import plot_forest

        return plot_forest(self.inference, metric, ax)

    def __repr__(self) -> str:
        from auglik.report.sections.answer import headline

        rows = self.inference.primary
        said = [headline(rows, self.inference.family), *self.verdicts] if rows else ["nothing to compare"]
        said += self._met_before
        return "\n".join([f"Comparison of {len(self.runs)} runs of {len(self.cells)} cells in {self.folder}", *said])

    def _repr_html_(self) -> str:
        from auglik.report.sections.endpoints import forests

        lines = "".join(f"<div>{escape(line)}</div>" for line in repr(self).splitlines())
        pictures = (base64.b64encode(figure.svg.encode()).decode() for figure in forests(self.inference))
        return lines + "".join(f'<img alt="differences" src="data:image/svg+xml;base64,{one}">' for one in pictures)


def load(folder: str | Path, reference: str | None = None, rope: float = ReportSettings.rope) -> Comparison:
    """The comparison in `folder`, the output of `auglik compare` or `auglik.compare`.

    `rope` is the half-width in nats of what counts as practically equal. Raises InputError for a folder without a
    finished run, and for a reference that is not a cell.
    """
    return Comparison(Path(folder), reference, rope)

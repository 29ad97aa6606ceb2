"""Runs studies and writes what they found: verify.json, and a folder for each study."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from auglik.experiments.engines.engine import Engine, Outcome, Progress
from auglik.experiments.engines.held import carried
from auglik.studies.study import Claim, Context, save
from auglik.system.files import write_json
from auglik.system.process import CPU, process_state
from auglik.system.processes import Processes
from auglik.system.stop import Interrupted, StopRequest
from auglik.version import __version__


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """One study, as it ended; `error` and no claims where it broke."""

    study: str
    claims: list[Claim]
    remarks: list[str]
    files: list[str]
    seconds: float
    error: str | None = None

    @property
    def holds(self) -> bool:
        return self.error is None and bool(self.claims) and all(claim.holds for claim in self.claims)


def run_study(name: str, context: Context, folder: Path) -> Report:
    """One study in this process: JAX in float64, torch on one thread, its files in the folder `folder`/NAME."""
    import matplotlib

    matplotlib.use("Agg")
    import jax

    jax.config.update("jax_enable_x64", True)
    from auglik.studies.registry import STUDIES

    began = time.monotonic()
    with process_state(threads=1):
        findings = STUDIES[name](context)
    files = [str(path.relative_to(folder)) for path in save(findings, folder / name, name)]
    return Report(
        study=name, claims=list(findings.claims), remarks=list(findings.remarks), files=files,
        seconds=time.monotonic() - began,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StudyTask:
    """A study, as a task of an engine: it is run again by whoever asks, so nothing in its folder counts as found."""

    name: str
    output: Path
    quick: bool
    seed: int
    data: str | None
    size, threads, device = 1.0, 1, CPU
    imports = ("auglik.studies.registry",)

    @property
    def folder(self) -> Path:
        return self.output / self.name

    @property
    def errors(self) -> Path:
        return self.folder / "error.txt"

    @property
    def datasets(self) -> tuple[tuple[str, Path], ...]:
        return () if self.data is None else ((self.data, Path("data")),)

    def absolute(self) -> "StudyTask":
        return replace(self, output=self.output.absolute())

    def again(self) -> "StudyTask":
        return self

    def check(self) -> None:
        pass

    def found(self) -> Report | None:
        return None

    def share(self) -> float:
        return 0.0

    def execute(self, stop: StopRequest, progress: Callable[[float], None], processes: Processes) -> Report:
        def tell(share: float) -> None:
            if stop:
                raise Interrupted("stopped in a study")
            progress(share)

        return run_study(self.name, Context(self.quick, self.seed, self.data, tell), self.output)


def run(tasks: Sequence[StudyTask], engine: Engine, stop: StopRequest, progress: Progress) -> list[Report]:
    """Runs studies by an engine; the reports of those that ended, in their order. Raises StorageError as `carried`."""
    for library in ("OPENBLAS", "OMP", "MKL"):  # read when processes start: studies share the cores
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    reports: dict[str, Report] = {}

    def ended(outcome: Outcome[Report]) -> None:
        name = outcome.job.name
        if outcome.results is not None:
            reports[name] = outcome.results
        elif outcome.error is not None:
            remarks = (outcome.details or "").splitlines()
            reports[name] = Report(study=name, claims=[], remarks=remarks, files=[], seconds=0.0, error=outcome.error)
        progress(outcome.job, 1.0)

    carried(engine, tasks, stop, progress, ended)
    return [reports[task.name] for task in tasks if task.name in reports]


def write_report(folder: Path, reports: Sequence[Report], quick: bool, seed: int) -> Path:
    """verify.json: every claim with its value, reference and tolerance, in the order of the studies."""
    studies = {
        report.study: {
            "holds": report.holds,
            "error": report.error,
            "seconds": report.seconds,
            "claims": [{**asdict(claim), "holds": claim.holds} for claim in report.claims],
            "remarks": report.remarks,
            "files": report.files,
        }
        for report in reports
    }
    path = folder / "verify.json"
    holds = all(report.holds for report in reports)
    write_json(path, {"version": __version__, "quick": quick, "seed": seed, "holds": holds, "studies": studies})
    return path

"""Runs studies and writes what they found: verify.json, and a folder for each study."""

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue

from auglik.studies.study import Claim, Context, save
from auglik.system.files import write_json
from auglik.version import __version__

StudyProgress = Callable[[str, float], None]
"""Told, now and then, the share of a study that is done."""


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
    """One study in this process: JAX in float64, torch on one thread, its files in `folder`/NAME."""
    import matplotlib

    matplotlib.use("Agg")
    import jax

    jax.config.update("jax_enable_x64", True)
    from auglik.studies.registry import STUDIES
    from auglik.system.process import process_state

    began = time.monotonic()
    try:
        with process_state(threads=1):
            findings = STUDIES[name](context)
        (folder / name).mkdir(parents=True, exist_ok=True)
        files = [str(path.relative_to(folder)) for path in save(findings, folder / name, name)]
    except Exception as error:
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return Report(
            study=name, claims=[], remarks=traceback.format_exc().splitlines(), files=[],
            seconds=time.monotonic() - began, error=text,
        )  # fmt: skip
    return Report(
        study=name, claims=list(findings.claims), remarks=list(findings.remarks), files=files,
        seconds=time.monotonic() - began,
    )  # fmt: skip


def run(
    names: Sequence[str], folder: Path, progress: StudyProgress, quick: bool, seed: int, data: str | None, jobs: int
) -> Iterator[Report]:
    """Runs studies, `jobs` at a time in separate processes, and yields each report as it is ready."""
    if jobs == 1:
        for name in names:
            yield run_study(name, Context(quick, seed, data, lambda share, name=name: progress(name, share)), folder)  # type: ignore[misc]
        return
    for library in ("OPENBLAS", "OMP", "MKL"):  # read when the processes start: studies share the cores
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(jobs, mp_context=context) as pool:
        told = manager.Queue()
        pending = {pool.submit(_run_in_process, name, quick, seed, data, folder, told) for name in names}
        while pending:
            ended, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            while not told.empty():
                progress(*told.get())
            for future in ended:
                yield future.result()


def _run_in_process(
    name: str, quick: bool, seed: int, data: str | None, folder: Path, told: Queue[tuple[str, float]]
) -> Report:
    return run_study(name, Context(quick, seed, data, lambda share: told.put((name, share))), folder)


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

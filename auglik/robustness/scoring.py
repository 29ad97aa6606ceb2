"""The scoring of a finished run under the conditions of a suite, as a task of an engine."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch

from auglik.objectives import InputError
from auglik.robustness.evaluate import evaluate_robustness, measured_of_run
from auglik.robustness.protocol import RobustnessConfig
from auglik.robustness.suite import Suite, open_suite
from auglik.runs.resolved import ResolvedRun
from auglik.scoring.conditions import Score
from auglik.system.processes import Processes
from auglik.system.stop import Interrupted, StopRequest

ERROR = "robustness-error.txt"


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """`evaluate_robustness` of the run in `folder`. In another process the suite is opened once, for all runs."""

    folder: Path
    output: Path
    dataset: str
    data_dir: Path
    config: RobustnessConfig
    asked: str | None
    """The device; None for the run's own."""
    run: ResolvedRun
    """On the device that it is scored on."""
    threads: int
    identity: object
    """Of the suite's conditions."""
    suite: Suite | None
    size, imports = 1.0, ()

    @property
    def name(self) -> str:
        return str(self.folder)

    @property
    def device(self) -> torch.device:
        return self.run.device

    @property
    def errors(self) -> Path:
        return self.folder / ERROR

    @property
    def datasets(self) -> tuple[tuple[str, Path], ...]:
        return ((self.dataset, self.data_dir),)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "suite": None}

    def absolute(self) -> "Scoring":
        folder, output, data_dir = (path.absolute() for path in (self.folder, self.output, self.data_dir))
        return replace(self, folder=folder, output=output, data_dir=data_dir)

    def again(self) -> "Scoring":
        return self

    def check(self) -> None:
        pass

    def found(self) -> list[Score] | None:
        return measured_of_run(self.folder, self.opened())

    def share(self) -> float:
        return 0.0

    def opened(self) -> Suite:
        """The suite. Raises InputError for other conditions than those of the process that planned this."""
        suite = self.suite or _opened(self.dataset, self.data_dir, self.config)
        if suite.measured["identity"] != self.identity:
            raise InputError("expected the test images and corruptions of the first process, got others")
        return suite

    def execute(self, stop: StopRequest, progress: Callable[[float], None], processes: Processes) -> list[Score]:
        suite = processes.agreed(self.opened)

        def tell(share: float) -> None:
            if processes.any(bool(stop)):
                raise Interrupted("stopped while scoring")
            progress(share)

        with self.run.state(processes.threads(self.threads)):
            return evaluate_robustness(self.folder, suite, self.asked, tell, processes)


@cache
def _opened(dataset: str, data_dir: Path, config: RobustnessConfig) -> Suite:
    return open_suite(dataset, data_dir, config)

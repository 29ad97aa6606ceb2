"""The test images of data sets as they are now: no hash of a run tells whether it was scored on these."""

from collections.abc import Callable
from pathlib import Path
from typing import final

from auglik.data import digest, open_dataset
from auglik.objectives import InputError
from auglik.runs.resolved import ResolvedRun
from auglik.runs.results import Results
from auglik.runs.tested import test_images


def check_scored_on(
    digest_now: Callable[[], str], folder: Path, run: ResolvedRun, results: Results, cure: str = ""
) -> None:
    """Raises InputError where the run in `folder` was scored on other test images; one not scored asks for none."""
    if results.test_digest is not None and digest_now() != results.test_digest:
        raise InputError(
            f"{folder}: expected the test images that it was scored on, got others in {run.config.dataset}{cure}"
        )


@final
class DigestsNow:
    """The digests of the test images that runs would be scored on now, each choice of a data set's read once."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._found: dict[tuple[str, int | None, int], str] = {}

    def check(self, folder: Path, run: ResolvedRun, results: Results, cure: str = "") -> None:
        """Raises InputError as `check_scored_on` does."""
        check_scored_on(lambda: self.of(run), folder, run, results, cure)

    def of(self, run: ResolvedRun) -> str:
        """Raises InputError where its data set cannot be read."""
        name, evaluation = run.config.dataset, run.config.evaluation
        choice = name, evaluation.images, evaluation.seed
        if choice not in self._found:
            self._found[choice] = digest(test_images(run, open_dataset(name, self._data_dir))[0])
        return self._found[choice]

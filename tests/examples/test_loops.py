"""The example loops as they are written: short, in the documentation, and with the losses of `auglik train`."""

import json
import re
import runpy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from auglik import RunConfig, change, load_training, open_dataset, read_facts, resolve, train

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
LIBRARIES = {"lightning_module": "lightning", "timm_style": "timm", "accelerate_loop": "accelerate"}
PAGE = (ROOT / "docs" / "LOOPS.md").read_text()


@pytest.fixture(scope="module")
def losses(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """Those of the epochs of the run that the examples name."""
    source, folder = open_dataset("digits"), tmp_path_factory.mktemp("run")
    settings = {"epochs": 3, "validation_fraction": 0.0, "device": "cpu"}
    run = resolve(change(RunConfig(), settings), source, read_facts(source))
    train(run, load_training(run, source), "hash", folder)
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.filterwarnings(
    "ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning",  # Lightning uses it
    "ignore:.*does not have many workers",  # digits need none
    "ignore:GPU available but not used",  # the examples train on the CPU
    "ignore:The `srun` command is available on your system",  # where Slurm is installed
)
def test_an_example_has_the_losses_of_the_run(
    path: Path, losses: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = LIBRARIES.get(path.stem, "torch")
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(str(path), run_name="__main__")
    if library == "torch":  # all else is our own: bit for bit
        assert names["losses"] == losses
    else:
        found = names["losses"] if "losses" in names else [float(names["trainer"].callback_metrics["loss"])]
        assert found == pytest.approx(losses[-len(found) :], rel=1e-5)


def test_there_is_an_example_of_each_library() -> None:
    assert {path.stem for path in EXAMPLES} == {"plain_pytorch", *LIBRARIES}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_stands_in_the_documentation_as_it_is(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 40
    assert path.read_text() in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_first_lines_of_the_documentation_run() -> None:
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0], names)
    assert bool(names["loss"].detach().isfinite())

"""Chains as cells of a comparison: what a report says of them, and what `auglik sample` prints."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from auglik import change
from auglik.cli.main import auglik
from auglik.report.collect import Collected, collect
from auglik.report.keep import keep
from auglik.report.sections.cells import tuning_warning
from auglik.report.sections.sampled import (
    TemperaturePath,
    examined,
    sampled,
    sampling_warnings,
    sentence,
    temperature_paths,
)
from auglik.runs.run import execute
from tests import tiny
from tests.sampling.test_chains import CHAIN


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("output")
    for name, T in (("warm", 1.0), ("cold", 0.1)):
        for seed in (0, 1, 2):
            execute(tiny.job(folder / name / f"seed-{seed}", **CHAIN | {"posterior_temperature": T, "seed": seed}))
    execute(tiny.job(folder / "point" / "seed-0", **CHAIN | {"inference": "sgd", "draws": 20}))
    return folder


@pytest.fixture(scope="module")
def collected(output: Path) -> Collected:
    return collect(output)


def test_what_sampled_is_examined_and_failures_come_first(collected: Collected) -> None:
    chains = examined(collected)
    assert set(chains) == {"warm", "cold"}
    assert (chains["cold"].T, chains["cold"].chains, chains["cold"].draws) == (0.1, 3, 4)
    said = sampling_warnings(chains, {})
    assert said[0].startswith("2 of 2 cells that sampled fail their diagnostics")
    assert "4 draws are too few to say whether it mixes" in said[1]


def test_scores_are_drawn_against_temperature_and_said_to_differ_or_not(collected: Collected) -> None:
    section = sampled(collected, examined(collected), {}, 0.005)
    assert section is not None
    assert [figure.key for figure in section.pictures()] == ["posterior_temperatures"]
    drawn = {datum.value for figure in section.pictures() for datum in figure.data}
    assert float(np.mean(collected.cells["warm"].scores("clean_nll"))) in drawn
    assert "warm: the best posterior temperature of 0.1 and 1 is " in section.sentences[1]
    assert sampled(collected, {}, {}, 0.005) is None


def test_paths_are_told_apart_by_the_factors_after_the_temperature(collected: Collected) -> None:
    cells = []
    for rate in (0.05, 0.1):
        for T, name in ((1.0, "warm"), (0.1, "cold")):
            cell = collected.cells[name]
            runs = {
                seed: replace(run, config=change(run.config, {"learning_rate": rate}))
                for seed, run in cell.runs.items()
            }
            cells.append(cell._replace(name=f"smoothed+posterior_temperature={T}+learning_rate={rate}", runs=runs))
    names = [path.name for path in temperature_paths(cells)]
    assert names == ["smoothed+learning_rate=0.05", "smoothed+learning_rate=0.1"]


def test_a_cold_posterior_that_is_better_by_far_is_said_to_be(collected: Collected) -> None:
    """The label's log-probability is raised by one nat for every image and seed, less a little."""
    (path,) = temperature_paths([collected.cells[name] for name in ("warm", "cold")])
    assert list(path.cells) == [0.1, 1.0]
    runs = {}
    for seed, run in path.cells[1.0].runs.items():
        log_p, labels = run.predictions.log_probabilities.astype(np.float64), run.predictions.labels
        log_p[np.arange(len(labels)), labels] += 5 + 0.1 * seed
        log_p -= np.log(np.exp(log_p).sum(1, keepdims=True))
        nll = -float(log_p[np.arange(len(labels)), labels].mean())
        predictions = run.predictions._replace(log_probabilities=log_p.astype(np.float32))
        scores = {**run.results.scores, "clean_nll": nll}
        runs[seed] = replace(run, predictions=predictions, results=replace(run.results, scores=scores))
    better = path.cells[0.1]._replace(runs=runs)
    cells = {0.1: better, 1.0: path.cells[1.0]}
    said = sentence(path._replace(cells=cells), [])
    assert "not told from it" not in said
    assert "is 0.1 by clean NLL; it differs from 1: a cold posterior effect" in said
    swapped = TemperaturePath("warm", path.setting, {0.1: path.cells[1.0]._replace(name="cold"),
                                                     1.0: better._replace(name="warm")})  # fmt: skip
    assert "No other temperature has a lower mean" in sentence(swapped, [])
    lost = {
        seed: replace(run, results=replace(run.results, scores={**run.results.scores, "clean_nll": np.inf}))
        for seed, run in path.cells[0.1].runs.items()
    }
    at_2 = sentence(path._replace(cells={**cells, 2.0: path.cells[0.1]._replace(name="lost", runs=lost)}), [])
    assert "is 0.1 by clean NLL; clean NLL is not finite at 2; it differs" in at_2
    doubted = sentence(path._replace(cells=cells), [better.name])
    assert "a cold posterior effect, if chains that fail their diagnostics (at 0.1) can show one." in doubted


def test_whether_the_best_temperature_differs_from_1_is_said_once(
    collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the family against 1 has it, whatever that against the best one would say."""
    (path,) = temperature_paths([collected.cells[name] for name in ("warm", "cold")])
    best = min(path.cells, key=lambda T: float(np.mean(path.cells[T].scores("clean_nll"))))
    other = next(T for T in path.cells if best != T)
    cells = {0.5: path.cells[best], 1.0: path.cells[other]}
    of_best, of_1 = (SimpleNamespace(outcome=outcome, verdict="Said.") for outcome in ("worse", "undecided"))
    monkeypatch.setattr(
        "auglik.report.sections.sampled._outcomes",
        lambda path, reference, rope: dict.fromkeys(path.cells, of_1 if reference == 1.0 else of_best),
    )
    said = sentence(path._replace(cells=cells), [])
    assert "is 0.5 by clean NLL; not told from it: 1; whether it differs from 1 cannot be told" in said


def test_of_many_cells_that_fail_only_how_many_is_said_first(collected: Collected) -> None:
    (one, *_) = examined(collected).values()
    said = sampling_warnings({f"cell {place}": one for place in range(5)}, {})
    assert len(said) == 1
    assert said[0].startswith("5 of 5 cells that sampled fail their diagnostics (")
    assert "R-hat in 5" in said[0]


def test_steps_of_chains_are_not_said_to_be_untuned(collected: Collected) -> None:
    assert tuning_warning(collected) is None
    point = collected.cells["point"]
    untuned = tuning_warning(collected._replace(cells={**collected.cells, "other": point._replace(name="other")}))
    assert untuned is not None
    assert untuned.startswith("cells were not tuned: all use learning rate")


def test_kept_chains_are_examined_alike(output: Path, collected: Collected, tmp_path: Path) -> None:
    keep(output, tmp_path / "kept")
    kept, whole = examined(collect(tmp_path / "kept")), examined(collected)
    assert repr(kept["cold"].kinetic) == repr(whole["cold"].kinetic)  # it may be NaN
    assert kept["cold"].member_nll == whole["cold"].member_nll


def test_the_command_says_first_that_chains_fail(tmp_path: Path) -> None:
    options = tiny.options(**CHAIN | {"epochs": 10, "output": tmp_path / "out"})
    found = CliRunner().invoke(auglik, ["sample", *options, "--chains", "2", "--jobs", "1"])
    assert found.exit_code == 0, found.output
    lines = [line for line in found.output.splitlines() if not line.startswith(("sampling:", "warning"))]
    assert lines[0].startswith("FAILS: ")
    assert "2 x 4 draws at T = 1: kinetic " in found.output
    assert lines[-1].startswith("clean NLL: draws ")
    point = tiny.options(**CHAIN | {"inference": "sgd", "draws": 20, "output": tmp_path / "out"})
    refused = CliRunner().invoke(auglik, ["sample", *point])
    assert refused.exit_code == 2
    assert "expected a sampler, got sgd" in refused.output

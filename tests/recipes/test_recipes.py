"""Recipes: each can be planned at every scale and protocol, and one is run from end to end."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from auglik import InputError, Place, RunConfig, change
from auglik.cli.main import auglik
from auglik.cli.pretraining_recipes import published_errors
from auglik.experiments import cells
from auglik.networks import find_network
from auglik.pretraining.runs import PretrainJob
from auglik.recipes import RECIPE_PROTOCOLS, RECIPE_SCALES, parse_recipe, read_recipe, recipe_names
from auglik.runs.settings import flatten
from auglik.scoring.conditions import load_scores

NAMES = recipe_names()
PRETRAINING = [name for name in NAMES if read_recipe(name).pretrains]
SUPERVISED = [name for name in NAMES if name not in PRETRAINING]


def planned(name: str, scale: str, protocol: str = "text") -> list[cells.Planned]:
    recipe = read_recipe(name)
    settings = recipe.settings(scale, protocol)
    common = change(RunConfig(), {key: values[0] for key, values in settings.items() if len(values) == 1})
    several = {key: values for key, values in settings.items() if len(values) > 1}
    return cells.plan(common, several, recipe.cells_at(scale))


@pytest.mark.parametrize("protocol", RECIPE_PROTOCOLS)
@pytest.mark.parametrize("scale", RECIPE_SCALES)
@pytest.mark.parametrize("name", SUPERVISED)
def test_a_recipe_can_be_planned(name: str, scale: str, protocol: str) -> None:
    recipe = read_recipe(name)
    if protocol == "code" and not recipe.code:
        with pytest.raises(InputError, match=f"{name}: expected --protocol text, as no setting"):
            recipe.settings(scale, protocol)
        return
    found = planned(name, scale, protocol)
    assert {cell.base for cell in found} == {cell.name for cell in recipe.cells}
    references = cells.reference_of(found, recipe.reference)
    assert set(references) == {cell.name for cell in found}
    for cell in found:
        assert cell.config.network is not None
        find_network(cell.config.network)


@pytest.mark.parametrize("name", [name for name in SUPERVISED if not name.startswith("evidence-")])
def test_full_scale_is_the_papers_and_quick_is_small(name: str) -> None:
    full, quick = ({cell.name: cell.config for cell in planned(name, scale)} for scale in RECIPE_SCALES)
    assert all(config.epochs is not None and config.epochs >= 200 for config in full.values())
    assert all(config.dataset != "digits" for config in full.values())
    small = ("small-cnn:width=8,norm=none", 100) if name == "cold-posterior" else ("small-cnn:width=8", 2)
    assert {(config.dataset, config.network, config.epochs) for config in quick.values()} == {("digits", *small)}
    assert read_recipe(name).scales["quick"].note


def test_seeds_are_a_count_or_named() -> None:
    assert read_recipe("evidence-appendix-c").scales["full"].seeds == (110, 111, 112, 113, 114)
    assert read_recipe("evidence-appendix-c").scales["quick"].seeds == (0, 1)
    assert read_recipe("appendix-c").scales["full"].seeds == (0, 1, 2, 3, 4)


def test_cells_of_the_evidence_differ_in_objective_and_rate_alone() -> None:
    """But for the one without augmentation; 10,000 images are trained on."""
    found = {cell.name: flatten(cell.config) for cell in planned("evidence-appendix-c", "full")}
    reference = found.pop("smoothed")
    assert (reference["likelihood"], reference["aggregator"], reference["views"]) == ("smoothed", "jensen", 4)
    own = {"likelihood", "aggregator", "learning_rate"}
    for name, settings in found.items():
        changed = {key for key in reference if settings[key] != reference[key]}
        assert changed <= own | ({"views", "augment", "mollify"} if name == "unaugmented" else set())
    held_out = round(11_000 * float(str(reference["validation_fraction"])))
    assert int(str(reference["train_images"])) - held_out == 10_000


def test_some_cells_are_planned_as_among_all() -> None:
    recipe = read_recipe("evidence-appendix-c")
    some = recipe.only(["log-mean", "corrected"])
    assert [cell.name for cell in some.cells] == ["smoothed", "log-mean", "corrected"]
    assert all(cell in recipe.cells for cell in some.cells)
    assert recipe.only([]) == recipe
    assert [cell.name for cell in recipe.only(["smoothed"]).cells] == ["smoothed"]


def test_the_protocol_of_the_code_is_another_one() -> None:
    text, code = (planned("adaptive-trivial-augment", "full", protocol)[0].config for protocol in RECIPE_PROTOCOLS)
    assert (text.compose, code.compose) == ("kept", "published")
    weights = [
        planned("soft-augmentation-figure-3", "full", name)[0].config.broadcast_weights for name in RECIPE_PROTOCOLS
    ]
    assert weights == [False, True]


def test_mollification_s_constants_are_its_paper_s() -> None:
    """Heinonen et al. 2025: preact-resnet-50, 300 epochs, batch 128, rate 0.01, decay 5e-4, Beta(1, 2), k = 1."""
    found = planned("mollification-table-1", "full")
    assert len(found) == 16 * 3
    for cell in found:
        config = cell.config
        assert (config.network, config.epochs, config.batch_size) == ("preact-resnet-50", 300, 128)
        chosen = config.optimization.resolved(find_network(str(config.network)))
        assert (chosen.optimizer, chosen.rate_schedule) == ("sgd", "cosine")
        assert (chosen.learning_rate, chosen.weight_decay, chosen.momentum) == (0.01, 5e-4, 0.9)
        view = config.view
        assert (view.alpha, view.beta, view.k_noise, view.k_blur, view.rotation) == (1.0, 2.0, 1.0, 1.0, 15.0)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(("evidence-", "cold-"))])
def test_published_recipes_train_on_all_images(name: str) -> None:
    """No paper states a split; the quick scale, whose images are few, holds a tenth out."""
    recipe = read_recipe(name)
    fractions = {scale: recipe.settings(scale, "text")["validation_fraction"] for scale in RECIPE_SCALES}
    assert fractions == {"full": [0.0], "quick": [0.1]}
    assert not any("validation_fraction" in cell.changes for cell in recipe.cells)


def test_what_needs_validation_images_is_refused_without() -> None:
    arguments = ["appendix-c", "--scale", "quick", "--cell", "smoothed", "--set", "degrade_toward=online", "--dry-run"]
    code, output = run(*arguments, "--set", "validation_fraction=0")
    assert (code, output.count("\n")) == (2, 1)
    assert "needs validation images, got none: set validation_fraction=0.1" in output
    code, output = run(*arguments)
    assert code == 0, output
    assert "2 epochs of 360 images" in output


BROKEN = {
    "cells": 'title="a"\nsource="b"\nquestion="c"\nreference="r"\n[full]\nepochs=1\n',
    "unknown setting 'epoch'": (
        'title="a"\nsource="b"\nquestion="c"\nreference="r"\n[full]\nepoch=1\n[[cells]]\nname="r"\n'
    ),
    "unknown setting 'occluded'": (
        'title="a"\nsource="b"\nquestion="c"\nreference="r"\n[full]\nrobustness={occluded=true}\n[[cells]]\nname="r"\n'
    ),
    "unknown reference": 'title="a"\nsource="b"\nquestion="c"\nreference="x"\n[full]\nepochs=1\n[[cells]]\nname="r"\n',
    "expected title": "[[[",
}


@pytest.mark.parametrize("message", BROKEN)
def test_what_is_no_recipe_is_refused(message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_recipe("broken", BROKEN[message])


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(auglik, ["reproduce", *arguments])
    return result.exit_code, result.output


def test_the_command_lists_recipes_and_says_what_one_costs(tmp_path: Path) -> None:
    code, output = run()
    assert code == 0
    assert all(name in output for name in NAMES)
    code, output = run("appendix-c", "--scale", "quick", "--dry-run", "--output", str(tmp_path / "none"))
    assert code == 0, output
    assert "stand in for the published data" in output
    assert "to do: 220 steps" in output
    assert "of training and" in output
    assert "scores under corruption and the report not included" in output
    assert not (tmp_path / "none").exists()
    code, output = run(
        "appendix-c", "--scale", "quick", "--cell", "log-mean", "--dry-run", "--output", str(tmp_path / "none")
    )
    assert code == 0, output
    assert "2 cells x 2 seeds = 4 runs" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["appendix-d"], "unknown recipe 'appendix-d'; did you mean 'appendix-c'"),
        (["appendix-c", "--scale", "quik"], "expected scale full or quick, got 'quik'; did you mean 'quick'"),
        (["appendix-c", "--cell", "logmean"], "unknown cell 'logmean'; did you mean 'log-mean'"),
        (["appendix-c", "--protocol", "readme"], "expected protocol text or code"),
        (["appendix-c", "--protocol", "code"], "appendix-c: expected --protocol text, as no setting of its published"),
        (
            ["soft-augmentation-figure-3", "--protocol", "code", "--set", "broadcast_weights=false"],
            "--set broadcast_weights: expected --protocol text with it, as --protocol code sets it",
        ),
        (["soft-augmentation-table-4", "--protocol", "code"], "expected --protocol text, as no setting of its publ"),
        (["appendix-c", "--seeds", "3", "--seed", "7"], "expected either seeds (a number or a list) or seed"),
        (["appendix-c", "--set", "epochs"], "expected SETTING=VALUE"),
        (["appendix-c", "--set", "epochs=many"], "expected int, got 'many'"),
        (["appendix-c", "--set", "likelihood=focal"], "expected a setting that no cell sets itself, but smoothed"),
        (["appendix-c", "--set", "seed=7"], "expected --seed or --seeds"),
        (["appendix-c", "--set", "epoch=1"], "unknown setting 'epoch'; did you mean 'epochs'"),
        (["appendix-c", "--set", "compile=yes"], "expected bool, got 'yes'"),
        (["soft-augmentation-table-4", "--scale", "quik"], "expected scale full or quick"),
        (["soft-augmentation-table-4", "--set", "projektion=8"], "unknown setting 'projektion'; did you mean"),
        (
            ["soft-augmentation-table-4", "--set", "soften=none"],
            "--set soften: expected a setting that no cell sets itself, but baseline",
        ),
        (["soft-augmentation-table-4", "--set", "seed=9"], "expected --seed or --seeds"),
        (["soft-augmentation-table-4", "--corruptions"], "soft-augmentation-table-4: expected no --corruptions, got"),
        (["soft-augmentation-table-4", "--report", "--jobs", "2"], "expected no --jobs, --report, got them: pretrain"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str) -> None:
    code, output = run(*arguments)
    assert code == 2
    assert message in output
    assert len(output.strip().splitlines()) == 1


def test_a_recipe_of_pretraining_runs_to_its_end(tmp_path: Path) -> None:
    assert PRETRAINING == ["soft-augmentation-table-4"]
    output = tmp_path / "results"
    arguments = ["--scale", "quick", "--set", "train_images=60", "--set", "epochs=1", "--output", str(output)]
    arguments += ["--set", "projection=32"]  # a setting that runs with labels do not have
    code, text = run("soft-augmentation-table-4", *arguments, "--seeds", "2", "--threads", "1")
    assert code == 0, text
    assert "6 runs, 0 finished" in text
    assert "to do: 6 steps, on 54 images" in text
    with (output / "pretraining.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["cell"], row["metric"]) for row in rows] == [
        (cell, metric) for cell in ("baseline", "SA#1", "SA#2") for metric in ("linear_accuracy", "knn_accuracy")
    ]
    for row in rows:
        folder = output / row["cell"].replace("#", "-")
        values = [json.loads((folder / f"seed-{seed}" / "results.json").read_text())[row["metric"]] for seed in (0, 1)]
        assert float(row["mean"]) == pytest.approx(sum(values) / 2)
    code, text = run("soft-augmentation-table-4", *arguments, "--seeds", "2", "--threads", "1")
    assert "6 runs, 6 finished" in text
    assert "nothing published matches: digits, small-cnn:width=8" in text
    code, text = run("soft-augmentation-table-4", *arguments, "--seeds", "1", "--threads", "1")  # which has no error
    assert code == 0, text
    assert "nan" not in text


@pytest.mark.parametrize("resume", [True, False])
def test_pretraining_is_carried_out_as_the_command_says(
    resume: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logged for TensorBoard, and from its checkpoint or not."""
    found: list[tuple[bool, bool]] = []

    def note(job: PretrainJob, **_: object) -> None:
        found.append((job.tensorboard, job.resume))

    monkeypatch.setattr("auglik.cli.pretraining_recipes.execute", note)
    monkeypatch.setattr("auglik.cli.pretraining_recipes.write_rows", lambda *_: None)
    arguments = ["--scale", "quick", "--seeds", "1", "--tensorboard", *(() if resume else ("--no-resume",))]
    code, text = run("soft-augmentation-table-4", *arguments, "--output", str(tmp_path), "--no-report")
    assert code == 0, text
    assert found == [(True, resume)] * 3


def test_published_errors_of_pretraining_are_of_the_same_network() -> None:
    cells = {("cifar10", "baseline"): "resnet-18", ("cifar100", "SA#2"): "resnet-18", ("cifar10", "SA#1"): "resnet-50"}
    found = published_errors(cells)
    assert [line.split() for line in found] == [
        ["cifar10", "baseline", "published", "error", "9.87±0.03%"],
        ["cifar100", "SA#2", "published", "error", "37.39±0.06%"],
    ]


def test_a_recipe_runs_to_its_end(tmp_path: Path) -> None:
    output = tmp_path / "results"
    arguments = ["--set", "train_images=100", "--set", "epochs=1", "--set", "evaluation_images=40", "--seeds", "1"]
    code, text = run(
        "adaptive-robustness",
        "--scale",
        "quick",
        *arguments,
        "--no-corruptions",
        "--no-report",
        "--jobs",
        "1",
        "--output",
        str(output),
    )
    assert code == 0, text
    with (output / "runs.csv").open() as file:
        assert [row["cell"] for row in csv.DictReader(file)] == ["hard", "hard-crop", "soft-crop"]


def test_occlusion_is_scored_where_the_paper_is_about_it(tmp_path: Path) -> None:
    """And no corruption, which the paper lacks."""
    output = tmp_path / "results"
    arguments = ["--set", "train_images=100", "--set", "epochs=1", "--set", "evaluation_images=40", "--seeds", "1"]
    code, text = run(
        "soft-augmentation-occlusion", "--scale", "quick", *arguments, "--no-report", "--jobs", "1",
        "--output", str(output),
    )  # fmt: skip
    assert code == 0, text
    scores = load_scores(output / "baseline/seed-0")
    assert scores is not None
    assert {0.2, 0.8} <= {score.severity for score in scores if score.kind == "occlusion"}
    assert {score.kind for score in scores} == {"clean", "occlusion"}


def test_protocols_have_folders_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []

    def planned(cells: object, seeds: object, place: Place, dry: bool) -> None:
        found.append(place.output)
        raise InputError("this is enough")

    monkeypatch.setattr("auglik.cli.reproduce.make_plan", planned)
    for protocol in RECIPE_PROTOCOLS:
        arguments = ["reproduce", "adaptive-selective", "--scale", "quick", "--protocol", protocol]
        assert "this is enough" in CliRunner().invoke(auglik, arguments).output
    assert found == ["results/adaptive-selective-quick", "results/adaptive-selective-quick-code"]

"""What README and the pages say works: their Python runs, their commands are read, their links lead somewhere."""

import re
import shlex
from pathlib import Path

import click
import pytest
import torch

import auglik
from auglik import LIKELIHOODS, Aggregator, Objective
from auglik.cli.main import COMMANDS
from auglik.objectives.probes import AGGREGATOR_PROBES, findings

ROOT = Path(__file__).parent.parent
PAGES = {path.name: path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
EXAMPLES = {path.read_text() for path in (ROOT / "examples").glob("*.py")}
"""They train, and have tests of their own."""
PYTHON = {
    name: blocks
    for name, text in PAGES.items()
    if (blocks := [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if block not in EXAMPLES])
}
COMMAND_LINES = [
    (name, line.partition(" #")[0])
    for name, text in PAGES.items()
    for block in re.findall(r"```(?:sh)?\n(.*?)```", text, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("auglik ")
]
GENERATED = {"API.md", "COMMANDS.md", "NAMES.md"}
"""Pages that the site's build makes."""


def run(name: str) -> dict[str, object]:
    namespace: dict[str, object] = {"__name__": name}
    for block in PYTHON[name]:
        exec(block, namespace)
    return namespace


@pytest.mark.parametrize("name", PYTHON)
def test_the_python_of_a_page_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its blocks one after the other, as a reader would."""
    monkeypatch.chdir(tmp_path)
    run(name)
    if name == "PYTHON.md":  # both of its comparisons leave the same files, and the reference that was asked for
        left = [{path.name for path in Path(folder).iterdir()} for folder in ("mine", "compared")]
        assert left[0] == left[1] >= {".planned.json", "runs.csv", "comparison.csv", "ensembles.csv"}
        assert auglik.load("mine").references == auglik.load("compared").references


@pytest.mark.parametrize(("page", "line"), COMMAND_LINES)
def test_a_command_of_a_page_is_read(page: str, line: str) -> None:
    _, name, *arguments = shlex.split(re.sub(r"[][]", "", line))
    command = next(deferred for deferred in COMMANDS if deferred.name == name).load()
    with command.make_context(name, arguments) as context:
        assert isinstance(context, click.Context)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_objective_that_the_pages_add_works_with_every_likelihood(likelihood: str) -> None:
    make = run("OBJECTIVES.md")["BestViews"]
    assert callable(make)
    aggregator: Aggregator = make(share=0.5)
    objective = Objective(LIKELIHOODS[likelihood], aggregator)
    outputs = 5 + objective.likelihood.extra_outputs
    logits = torch.randn(4, 3, outputs, generator=torch.Generator().manual_seed(0))
    best = objective.log_likelihood(logits, torch.full((4, 3), 0.2), torch.tensor([0, 4, 2]))
    mean = Objective(LIKELIHOODS[likelihood], auglik.AGGREGATORS["jensen"]).log_likelihood(
        logits, torch.full((4, 3), 0.2), torch.tensor([0, 4, 2])
    )
    assert (best >= mean).all()
    assert objective.predict(logits).exp().sum(-1) == pytest.approx(torch.ones(3))
    assert len(PYTHON["OBJECTIVES.md"][0].splitlines()) <= 40


def test_the_objective_that_the_pages_add_passes_its_probes() -> None:
    make = run("OBJECTIVES.md")["BestViews"]
    assert callable(make)
    assert [found for found in findings(make(), AGGREGATOR_PROBES) if not found.passed] == []


def test_the_commands_that_the_readme_lists_are_the_commands() -> None:
    listed = re.findall(r"^\| `auglik (\w+)", PAGES["README.md"], re.MULTILINE)
    assert sorted(listed) == sorted(str(deferred.name) for deferred in COMMANDS)


def test_the_readme_is_short() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 110


def test_the_site_leads_to_every_page() -> None:
    listed = re.findall(r"^ +- .+: (\w+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted({*PAGES, *GENERATED} - {"README.md"})


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    folder = ROOT if page == "README.md" else ROOT / "docs"
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGES[page]):
        assert (folder / link).is_file() or link in GENERATED, link


def test_augmentations_and_data_sets_are_explained() -> None:
    for name in (*auglik.AUGMENTATIONS, *auglik.MIXINGS):
        assert f"`{name}`" in PAGES["VIEWS.md"]
    for name in auglik.DATASETS:
        assert f"`{name}`" in PAGES["DATA.md"]


def test_folders_and_files_are_text_or_paths(tmp_path: Path) -> None:
    assert auglik.open_dataset(Path("digits"), str(tmp_path)).name == "digits"
    with pytest.raises(auglik.InputError, match="expected the predictions of a finished run"):
        auglik.load_predictions(str(tmp_path))
    with pytest.raises(auglik.InputError, match="expected the output folder of"):
        auglik.write_report(str(tmp_path), "report")
    with pytest.raises(auglik.InputError, match="expected a confidence level between 0 and 1, got '95'"):
        auglik.paired_difference([1.0, 2.0], [1.0, 3.0], level="95")  # type: ignore[arg-type]

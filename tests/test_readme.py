"""What the README says works."""

import re
from pathlib import Path

import pytest
import torch

import auglik
from auglik import LIKELIHOODS, Aggregator, Objective
from auglik.cli.main import auglik as command
from auglik.confidence import MAPS

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_objective_that_the_readme_adds_works_with_every_likelihood(likelihood: str) -> None:
    namespace: dict[str, object] = {"__name__": "best_views"}
    exec(BLOCKS[1], namespace)
    make = namespace["BestViews"]
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
    assert len(BLOCKS[1].splitlines()) <= 40


def test_the_python_example_runs() -> None:
    names = {"logits": torch.zeros(2, 3, 4), "decay": torch.zeros(2, 3), "labels": torch.tensor([0, 1, 2])}
    exec(BLOCKS[0], dict(names))


def test_the_commands_that_the_readme_lists_are_the_commands() -> None:
    listed = set(re.findall(r"^\| `auglik (\w+)", README, re.MULTILINE))
    assert listed == set(command.commands)


def test_the_readme_names_all_networks_data_sets_augmentations_and_maps() -> None:
    for name in (*auglik.DATASETS, *auglik.AUGMENTATIONS, *auglik.MIXINGS, *MAPS):
        assert f"`{name}`" in README
    for name in auglik.NETWORKS:
        family, _, depth = name.rpartition("-")
        assert f"`{name}`" in README or (f"`{family}-18`" in README and f"`-{depth}`" in README)

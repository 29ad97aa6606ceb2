"""How many kernels the parts of a step launch: at some 5 us of the host each, they bound a fast step.

Counted for 128 images of CIFAR's shape, K = 1, mollified. A change that lowers a count lowers it here and on the page.
"""

import re

import pytest
import torch

from auglik import AGGREGATORS, LIKELIHOODS, Objective
from tests.cuda.guard import without_gpu
from tests.cuda.parts import count_chain, count_pretraining, count_rest, count_views
from tests.test_layout import ROOT

COUNTED_WITH = "2.14"
"""The torch of these counts. Another may make fewer kernels of an operation, which is no change of ours."""
VIEWS = {
    "none": 53,
    "fcr": 101,
    "fcr,trivial-augment": 226,
    "fcr,rand-augment": 349,
    "fcr,auto-augment": 349,
    "fcr,augmix": 485,
    "fcr,random-erasing": 113,
    "mixup,fcr": 112,
    "cutmix,fcr": 120,
}
COMPILED_VIEWS = {"fcr": 12, "fcr,trivial-augment": 30, "fcr,rand-augment": 44, "fcr,augmix": 58}
LOSSES = {
    "smoothed + jensen": 13,
    "smoothed + log-mean": 13,
    "smoothed-normalized + log-mean": 46,
    "smoothed-normalized-schedule + jensen": 24,
}
OTHERS = {"forward": 102, "backward": 100, "optimizer": 1, "meters": 2}
"""Of preact-resnet-18 under smoothed + jensen."""
COMPILED_LOSS = 1
CHAINS = {"sgld": 126, "sghmc": 204}
"""Of a network of eleven parameters."""
PRETRAINING = {"views": 644, "loss": 30}
"""Of both views, and with the measured spread of outputs."""

pytestmark = without_gpu


def check(count: int, told: int) -> None:
    assert count == told if torch.__version__.startswith(f"{COUNTED_WITH}.") else count <= told


@pytest.mark.parametrize("augment", VIEWS)
def test_views(augment: str) -> None:
    check(count_views(augment), VIEWS[augment])


@pytest.mark.parametrize("augment", COMPILED_VIEWS)
def test_views_of_a_compiled_run(augment: str) -> None:
    check(count_views(augment, compiled=True), COMPILED_VIEWS[augment])


def test_loss_and_meters_of_a_compiled_run() -> None:
    counts = count_rest(Objective(LIKELIHOODS["smoothed"], AGGREGATORS["jensen"]), compiled=True)
    check(counts["loss"], COMPILED_LOSS)
    check(counts["meters"], OTHERS["meters"])


@pytest.mark.parametrize("name", LOSSES)
def test_the_rest_of_a_step(name: str) -> None:
    likelihood, aggregator = name.split(" + ")
    objective = Objective(LIKELIHOODS[likelihood], AGGREGATORS[aggregator])
    counts = count_rest(objective)
    check(counts.pop("loss"), LOSSES[name])
    if name == "smoothed + jensen":
        assert counts.keys() == OTHERS.keys()
        for part, count in counts.items():
            check(count, OTHERS[part])


@pytest.mark.parametrize("sampler", CHAINS)
def test_chains(sampler: str) -> None:
    check(count_chain(sampler), CHAINS[sampler])


def test_pretraining() -> None:
    counts = count_pretraining()
    assert counts.keys() == PRETRAINING.keys()
    for part, count in counts.items():
        check(count, PRETRAINING[part])


def test_the_page_tells_these_counts() -> None:
    page = (ROOT / "docs" / "SPEED.md").read_text().partition("## What a GPU's host has to do")[2]
    rows = [re.findall(r"\d+", line.partition("|")[2].partition("|")[2]) for line in page.splitlines() if "|" in line]
    told = [[int(number) for number in row] for row in rows if row][: len(COMPILED_VIEWS) + 1]
    loss, meters = LOSSES["smoothed + jensen"], OTHERS["meters"]
    views = [[VIEWS[augment], count] for augment, count in COMPILED_VIEWS.items()]
    assert told == [*views, [loss, meters, COMPILED_LOSS, meters]]

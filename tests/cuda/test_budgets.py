"""How many kernels the parts of a step launch at most: at some 5 us of the host each, they bound a fast step.

Counted for 128 images of CIFAR's shape, K = 1, mollified. A change that lowers a count lowers its budget here.
"""

import pytest

from auglik import AGGREGATORS, LIKELIHOODS, Objective
from tests.cuda.guard import without_gpu
from tests.cuda.parts import count_rest, count_views

VIEWS = {
    "none": 54,
    "fcr": 102,
    "fcr,trivial-augment": 227,
    "fcr,rand-augment": 350,
    "fcr,auto-augment": 350,
    "fcr,augmix": 486,
    "fcr,random-erasing": 114,
    "mixup,fcr": 113,
    "cutmix,fcr": 121,
}
COMPILED_VIEWS = {"fcr": 14, "fcr,trivial-augment": 32, "fcr,rand-augment": 45, "fcr,augmix": 60}
LOSSES = {
    "smoothed + jensen": 13,
    "smoothed + log-mean": 13,
    "smoothed-normalized + log-mean": 46,
    "smoothed-normalized-schedule + jensen": 24,
}
OTHERS = {"forward": 102, "backward": 101, "optimizer": 1, "meters": 2}
"""Of preact-resnet-18 under smoothed + jensen."""

pytestmark = without_gpu


@pytest.mark.parametrize("augment", VIEWS)
def test_views(augment: str) -> None:
    assert count_views(augment) <= VIEWS[augment]


@pytest.mark.parametrize("augment", COMPILED_VIEWS)
def test_views_of_a_compiled_run(augment: str) -> None:
    assert count_views(augment, compiled=True) <= COMPILED_VIEWS[augment]


def test_loss_and_meters_of_a_compiled_run() -> None:
    counts = count_rest(Objective(LIKELIHOODS["smoothed"], AGGREGATORS["jensen"]), compiled=True)
    assert counts["loss"] + counts["meters"] <= 10


@pytest.mark.parametrize("name", LOSSES)
def test_the_rest_of_a_step(name: str) -> None:
    likelihood, aggregator = name.split(" + ")
    objective = Objective(LIKELIHOODS[likelihood], AGGREGATORS[aggregator])
    counts = count_rest(objective)
    assert counts.pop("loss") <= LOSSES[name]
    if name == "smoothed + jensen":
        assert {part: count for part, count in counts.items() if count > OTHERS[part]} == {}

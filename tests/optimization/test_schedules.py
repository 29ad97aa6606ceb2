"""Rate schedules against torch's own."""

from collections.abc import Callable

import pytest
import torch
from torch.optim import lr_scheduler

from auglik.optimization.registry import find_schedule
from auglik.runs.loop import learning_rate
from tests import tiny

Twin = Callable[[torch.optim.Optimizer, int], lr_scheduler.LRScheduler]

TWINS: dict[str, Twin] = {
    "cosine": lambda optimizer, steps: lr_scheduler.CosineAnnealingLR(optimizer, steps),
    "constant": lambda optimizer, steps: lr_scheduler.ConstantLR(optimizer, factor=1.0),
    "step": lambda optimizer, steps: lr_scheduler.MultiStepLR(optimizer, [steps // 2, round(0.75 * steps)]),
    "step:at=0.3/0.6/0.8:by=0.2": lambda optimizer, steps: lr_scheduler.MultiStepLR(
        optimizer, [round(share * steps) for share in (0.3, 0.6, 0.8)], gamma=0.2
    ),
    "one-cycle": lambda optimizer, steps: lr_scheduler.OneCycleLR(
        optimizer, 0.1, total_steps=steps, cycle_momentum=False
    ),
    "one-cycle:rise=0.5:start=10:end=100": lambda optimizer, steps: lr_scheduler.OneCycleLR(
        optimizer, 0.1, total_steps=steps, cycle_momentum=False, pct_start=0.5, div_factor=10, final_div_factor=100
    ),
}


def of_torch(twin: Twin, steps: int) -> list[float]:
    """The rates of a run of so many steps."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler, rates = twin(optimizer, steps), []
    for step in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < steps - 1:
            scheduler.step()
    return rates


@pytest.mark.parametrize("text", TWINS)
@pytest.mark.parametrize("steps", [4, 20, 101])
def test_a_schedule_is_torchs(text: str, steps: int) -> None:
    schedule = find_schedule(text)
    rates = [0.1 * schedule.factor(step, steps) for step in range(steps)]
    assert rates == pytest.approx(of_torch(TWINS[text], steps), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("text", TWINS)
def test_a_run_of_one_step_has_a_rate(text: str) -> None:
    assert 0 < find_schedule(text).factor(0, 1) <= 1


def test_the_schedule_of_the_settings_follows_the_warm_up() -> None:
    run = tiny.run(rate_schedule="step:at=0.5:by=0.1", learning_rate=2.0, warmup=0.2)
    rates = [learning_rate(run, step, 100) for step in range(100)]
    assert rates[:20] == pytest.approx([2 * (step + 1) / 21 for step in range(20)])
    assert rates[20:] == pytest.approx([2.0] * 40 + [0.2] * 40)
    cycle = [learning_rate(tiny.run(rate_schedule="one-cycle", learning_rate=2.0), step, 100) for step in range(100)]
    assert cycle[0] == pytest.approx(2 / 25)
    assert (max(cycle), cycle.index(max(cycle))) == (2.0, 29)

"""A run on CUDA under each setting that makes its loop do something else, interrupted and resumed."""

from pathlib import Path

import pytest

from auglik.optimization.registry import OPTIMIZERS
from auglik.optimization.schedules import SCHEDULES
from auglik.runs.run import execute
from auglik.sampling.registry import PRIORS, SAMPLERS, STEP_SIZES
from auglik.system.stop import Interrupted
from auglik.views.couplings import COUPLINGS
from tests import tiny
from tests.cuda.guard import cuda, undeclared

MOLLIFIED = {"mollify": "noise,blur,both", "clean_share": 0.2}
SAMPLED = {"inference": "sghmc", "draws": 4, "learning_rate": 0.01, "epochs": 4}
"""A short chain."""
OPTIONS: dict[str, dict[str, object]] = {
    **{f"coupling {name}": {"coupling": name, "augment": "fcr,trivial-augment", **MOLLIFIED} for name in COUPLINGS},
    **{f"optimizer {name}": {"optimizer": name} for name in OPTIMIZERS},
    **{f"schedule {name}": {"rate_schedule": name} for name in SCHEDULES},
    "clipped gradients": {"gradient_clip": 0.1},
    "averaged weights": {"average": 0.9},
    "views by budget": {"budget": "views"},
    "views of the step's mean weight": {
        "broadcast_weights": True, "soften": "crop:polynomial", "soften_into": "weight",
    },
    "online labels": {"online_labels": 0.5},
    "degraded as the network errs": {"degrade_toward": "online", "soften": "crop:polynomial"},
    "a proposal": {"proposal": "responsibilities", "aggregator": "log-mean", **MOLLIFIED},
    "numbers of views": {"mean_views": 3.0, "views": 4, "aggregator": "log-mean", **MOLLIFIED},
    "drawn numbers of views": {"aggregator": "sumo", "views": 4},
    "all views of an orbit": {"augment": "orbit:shifts=0", "views": 1, "mollify": "none"},
    "steps as they come": {"cuda_graphs": False},
    "kernels that repeat": {"deterministic": True},
    **{f"sampler {name}": {**SAMPLED, "inference": name} for name in SAMPLERS},
    **{f"prior {name}": {**SAMPLED, "prior": name} for name in PRIORS},
    **{f"step sizes {name}": {**SAMPLED, "step_sizes": name} for name in STEP_SIZES},
}  # fmt: skip


@pytest.mark.parametrize("option", OPTIONS)
def test_options(option: str, tmp_path: Path) -> None:
    with cuda() as record:
        one = tiny.job(tmp_path, **{"device": "cuda", **OPTIONS[option]})
        with pytest.raises(Interrupted):
            execute(one, stop=tiny.StopAt(3))
        execute(one)
    assert undeclared(record) == []

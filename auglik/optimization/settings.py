"""The settings of a run's optimization."""

from collections.abc import Container
from dataclasses import dataclass, replace

from auglik.networks import Network
from auglik.networks.weights import HEADS, file_digest
from auglik.objectives import InputError
from auglik.optimization.registry import OPTIMIZERS, find_optimizer, find_schedule
from auglik.optimization.schedules import SCHEDULES
from auglik.settings.fields import check_choices, expect, option

MOMENTUM = 0.9


@dataclass(frozen=True)
class OptimizationConfig:
    """How the weights move."""

    optimizer: str = option(
        "sgd",
        "sgd, adamw:betas=0.9/0.95, or a class of torch.optim with its parameters, e.g. torch:RAdam:eps=1e-6.",
        names=(*OPTIMIZERS, "torch:NAME"),
    )
    learning_rate: float | None = option(None, "Highest learning rate [sgd: the network's; else the optimizer's own].")
    rate_schedule: str = option(
        "cosine",
        "cosine to zero, constant, step:at=0.5/0.75:by=0.1 or one-cycle:rise=0.3, over the steps of the run.",
        names=SCHEDULES,
    )
    warmup: float | None = option(
        None, "Share of the steps over which the learning rate first rises [the network's; one-cycle: none]."
    )
    momentum: float | None = option(None, f"Momentum of sgd [{MOMENTUM}].")
    nesterov: bool | None = option(None, "Nesterov momentum in sgd [the network's; none without momentum].")
    weight_decay: float | None = option(
        None,
        "Weight decay of all parameters, even biases and batch-norm scales: added to the gradient by sgd and most of"
        " torch, decoupled (rate x decay off every weight) by adamw [sgd 0.0005, adamw 0.01, else torch's own].",
    )
    gradient_clip: float | None = option(None, "Largest gradient norm; longer gradients are clipped [none].")
    average: float | None = option(
        None, "Decay per step of an exponential moving average of the weights, e.g. 0.999, which is then scored [none]."
    )
    weights: str | None = option(
        None, "Start from the weights in this file: safetensors, a state dict, or a run's checkpoint.pt [initial ones]."
    )
    weights_digest: str | None = option(None, "SHA-256 that the file must have [its own at planning time].")
    weights_head: str = option(
        "keep", "Last layer of --weights: keep, or fresh for the initial one, e.g. for other classes.", *HEADS
    )

    def __post_init__(self) -> None:
        check_choices(self)
        optimizer, schedule = find_optimizer(self.optimizer), find_schedule(self.rate_schedule)
        clip = self.gradient_clip
        expect(
            self.learning_rate is None or self.learning_rate > 0, "learning_rate", "a number > 0", self.learning_rate
        )
        expect(self.warmup is None or 0 <= self.warmup < 1, "warmup", "a share in [0,1)", self.warmup)
        expect(self.momentum is None or 0 <= self.momentum < 1, "momentum", "a number in [0,1)", self.momentum)
        expect(self.weight_decay is None or self.weight_decay >= 0, "weight_decay", "a number >= 0", self.weight_decay)
        expect(clip is None or clip > 0, "gradient_clip", "a norm > 0", clip)
        expect(self.average is None or 0 < self.average < 1, "average", "a decay in (0,1)", self.average)
        if self.nesterov and self.momentum == 0:
            raise InputError("nesterov: expected a momentum > 0, got 0")
        for name in ("momentum", "nesterov"):
            if getattr(self, name) is not None and not optimizer.takes_momentum:
                raise InputError(
                    f"{name}: expected none with {self.optimizer}, got {getattr(self, name)}: it belongs to sgd;"
                    " other optimizers take it as a parameter, e.g. torch:RMSprop:momentum=0.9"
                )
        if self.warmup and not schedule.warms_up:
            raise InputError(
                f"warmup: expected none with {self.rate_schedule}, which has its own rise, got {self.warmup}:"
                " one-cycle:rise=SHARE sets how long"
            )

    def resolved(self, network: Network, only: Container[str] | None = None) -> "OptimizationConfig":
        """With what is left open (of the names in `only`) as the optimizer or the network has it.

        What means nothing stays open.

        Raises InputError for a file of weights that cannot be read, and for settings of such a file without one.
        """
        for name in ("weights_digest", "weights_head"):
            if self.weights is None and getattr(self, name) not in (None, "keep"):
                raise InputError(f"{name}: expected a file of weights with it (--weights FILE), got none")
        optimizer, warms_up = find_optimizer(self.optimizer), find_schedule(self.rate_schedule).warms_up
        rate = optimizer.learning_rate if optimizer.learning_rate is not None else network.learning_rate
        own: dict[str, float | None] = {
            "learning_rate": rate,
            "warmup": network.warmup if warms_up else 0.0,
            "momentum": MOMENTUM if optimizer.takes_momentum else None,
            "nesterov": network.nesterov and self.momentum != 0 if optimizer.takes_momentum else None,
            "weight_decay": optimizer.weight_decay,
        }
        wanted = {key: value for key, value in own.items() if only is None or key in only}
        found = replace(self, **{key: value for key, value in wanted.items() if getattr(self, key) is None})  # type: ignore[arg-type]
        if self.weights is None or self.weights_digest is not None:
            return found
        return replace(found, weights_digest=file_digest(self.weights))

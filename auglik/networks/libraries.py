"""Networks of other libraries: `torchvision:NAME` and `timm:NAME`, initialized by the library's own rule."""

import copy
import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from auglik.networks.network import Network
from auglik.networks.randomness import Dropout
from auglik.objectives.errors import InputError

Layer = TypeVar("Layer", bound=nn.Module)


class LibraryModule(nn.Module):
    """[B,c,H,W] -> [B,outputs]: the linear layer `head` of the body's features [B,f].

    `initialized` says that the body keeps the weights that its library gave it.
    """

    def __init__(self, body: nn.Module, features: int, outputs: int, *, initialized: bool = False) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(features, outputs)
        self.initialized = initialized

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images))


@dataclass(frozen=True)
class Torchvision:
    """A classifier of torchvision, for images of the size that it was made for (224x224, mostly).

    Its last linear layer is left out for the head, and its first convolution takes other than 3 channels. Auxiliary
    heads are left out. Raises InputError for a name that torchvision does not know.
    """

    model: str
    learning_rate: ClassVar[float] = 0.05  # 0.1 for 256 images, as torchvision's reference training
    warmup: ClassVar[float] = 0.0
    nesterov: ClassVar[bool] = False
    small: ClassVar[bool] = False

    def __post_init__(self) -> None:
        from torchvision import models

        known = [name for name in models.list_models(module=models) if not name.startswith("squeezenet")]
        check_model("torchvision", self.model, known)  # squeezenet ends in a convolution

    def build(self, channels: int, outputs: int) -> nn.Module:
        from torchvision import models

        whole = {"aux_logits": False, "init_weights": True} if self.model in ("googlenet", "inception_v3") else {}
        body = models.get_model(self.model, num_classes=1, **whole)
        stem, first = next(layers_of(body, nn.Conv2d))
        if channels != first.in_channels:
            body.set_submodule(stem, with_channels(first, channels))
        *_, (name, last) = layers_of(body, nn.Linear)
        body.set_submodule(name, nn.Identity())
        return LibraryModule(keyed(body), last.in_features, outputs, initialized=True)


@dataclass(frozen=True)
class Timm:
    """A model of timm without its classifier, whose rates of dropout and stochastic depth are timm's defaults.

    Raises InputError if timm is missing and for a name that it does not know.
    """

    model: str
    learning_rate: ClassVar[float] = 0.05
    warmup: ClassVar[float] = 0.0
    nesterov: ClassVar[bool] = False
    small: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_model("timm", self.model, import_timm(f"timm:{self.model}").list_models())

    def build(self, channels: int, outputs: int) -> nn.Module:
        body = import_timm(f"timm:{self.model}").create_model(self.model, in_chans=channels, num_classes=0)
        features = getattr(body, "head_hidden_size", body.num_features)
        return LibraryModule(keyed(body), features, outputs, initialized=True)


LIBRARIES: dict[str, Callable[[str], Network]] = {"timm": Timm, "torchvision": Torchvision}

DEFINING = ("torch.nn.", "torchvision.", "timm.")
"""Where the layers are defined that become keyed; what a user's layer of the same name computes is not known."""


def layers_of(body: nn.Module, kind: type[Layer]) -> Iterator[tuple[str, Layer]]:
    """The layers of that type by name, in the order in which they were added."""
    return ((name, layer) for name, layer in body.named_modules() if isinstance(layer, kind))


def with_channels(layer: nn.Conv2d, channels: int) -> nn.Conv2d:
    """The convolution with newly drawn weights for another number of channels."""
    weight = layer.weight.detach()
    changed = copy.deepcopy(layer)
    changed.in_channels = channels
    changed.weight = nn.Parameter(torch.empty(len(weight), channels, *weight.shape[2:]))
    changed.reset_parameters()
    return changed


def keyed(body: nn.Module) -> nn.Module:
    """The body with keyed modules instead of those that draw from torch's global generator in training."""
    for name, layer in list(body.named_modules()):
        # By the types' names, as the libraries that define them need not be there.
        kind = library_type(layer)
        if kind == "Dropout" and layer.p > 0:
            body.set_submodule(name, Dropout(layer.p))
        elif kind == "StochasticDepth" and layer.p > 0:
            body.set_submodule(name, Dropout(layer.p, by_image=True))
        elif kind == "DropPath" and layer.drop_prob > 0:
            body.set_submodule(name, Dropout(layer.drop_prob, by_image=True))
    return body


def library_type(layer: nn.Module) -> str | None:
    """The name of the layer's type; None for one that neither torch nor torchvision nor timm defines."""
    kind = type(layer)
    return kind.__name__ if f"{kind.__module__}.".startswith(DEFINING) else None


def check_model(library: str, model: str, known: Sequence[str]) -> None:
    """Raises InputError for a model that is not among the library's."""
    if model not in known:
        near = ", ".join(difflib.get_close_matches(model, known, n=3, cutoff=0))
        raise InputError(f"unknown network '{library}:{model}': expected a classifier of {library}, such as {near}")


def import_timm(network: str) -> ModuleType:
    """The library timm, an optional dependency. Raises InputError if it is missing."""
    try:
        import timm
    except ImportError:
        raise InputError(
            f"network {network!r} is built by timm, which is not installed: pip install 'auglik[timm]'"
        ) from None
    return timm

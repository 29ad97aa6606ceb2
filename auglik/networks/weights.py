"""Initial weights from a file: safetensors, a state dict saved by torch, or a run's checkpoint; no pickle."""

import hashlib
import io
import pickle
import warnings
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from auglik.networks.randomness import Uniforms
from auglik.objectives.errors import InputError

HEAD = "head."
HEADS = ("keep", "fresh")
"""What becomes of the file's head: it is the network's, or it is left out and the network's stays at its own."""


def file_digest(path: str) -> str:
    """SHA-256 of a file of weights. Raises InputError if it cannot be read."""
    return hashlib.sha256(_content(path)).hexdigest()


def begin_from(network: nn.Module, path: str, digest: str | None, head: str) -> None:
    """Sets the weights and statistics of `network` to those in the file, by their names.

    Names may be those of a library's own model, with its own head, or of a pretrained run's backbone. What the network
    draws while it trains is not taken from the file. `digest` is the file's, where it is known.
    Raises InputError, with the network as it was, for a file that cannot be read, one of another digest, one that needs
    pickle, and for names, shapes and values that are not the network's; of the head only where it is kept.
    """
    content = _content(path)
    if digest is not None and (found := hashlib.sha256(content).hexdigest()) != digest:
        raise InputError(f"weights {path}: expected the file whose SHA-256 is {digest[:12]}..., got {found[:12]}...")
    wanted = wanted_weights(network)
    if head == "fresh" and not any(name.startswith(HEAD) for name in wanted):
        raise InputError(f"weights {path}: expected a network whose last layer is called head, to leave it fresh")
    kept = {name for name in wanted if head == "keep" or not name.startswith(HEAD)}
    state = matched(read_state(content, path), network)
    missing, extra = sorted(needed(kept) - state.keys()), sorted(state.keys() - network.state_dict().keys())
    if missing and all(name.startswith(HEAD) for name in missing):
        raise InputError(f"weights {path}: expected a head, which the file lacks: --weights-head fresh needs none")
    if missing or extra:
        but = f"{_some(missing)} lack" if missing else f"there are {_some(extra)} too"
        raise InputError(f"weights {path}: expected those of this network, but {but}: is it of another network?")
    given = [name for name in wanted if name in kept & state.keys()]
    for name in given:
        _check(wanted[name], state[name], name, path)
    with torch.no_grad():
        for name in given:
            wanted[name].copy_(state[name])


def wanted_weights(network: nn.Module) -> dict[str, Tensor]:
    """What a file gives: the state dict without the keys and counts of what is drawn in training."""
    drawn = {
        f"{name}.{key}"
        for name, module in network.named_modules()
        if isinstance(module, Uniforms)
        for key in module.state_dict()
    }
    return {name: value for name, value in network.state_dict().items() if name not in drawn}


def needed(names: Iterable[str]) -> set[str]:
    """Without the counts of batch norm, which old files lack and which nothing depends on."""
    return {name for name in names if not name.endswith("num_batches_tracked")}


def matched(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The state under the network's own names, a linear layer that it alone has as the head; as it is if none fits."""
    body = needed(name for name in wanted_weights(network) if not name.startswith(HEAD))
    library = {f"body.{name}": value for name, value in state.items()}
    prefix = "backbone."
    backbone = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    for names in (state, library, backbone):
        if body <= names.keys():
            rest = names.keys() - network.state_dict().keys()
            layers = {name.rpartition(".")[0] for name in rest}
            headless = not any(name.startswith(HEAD) for name in names)
            if headless and len(layers) == 1 and any(names[name].ndim == 2 for name in rest):
                return {HEAD + name.rpartition(".")[2] if name in rest else name: names[name] for name in names}
            return names
    return state


def read_state(content: bytes, path: str) -> dict[str, Tensor]:
    """The tensors in a file by name, on the CPU; of a run's checkpoint those that it is scored with."""
    refusal = f"weights {path}: expected safetensors, or a state dict saved by torch.save(network.state_dict(), file)"
    try:
        if content[8:9] == b"{":
            return load_safetensors(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it then refuses
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(f"{refusal}, got pickled objects: reading them would run code in the file") from None
    except Exception as error:  # other bytes make the readers stumble in many ways
        raise InputError(f"{refusal}, got something else ({' '.join(str(error).split())[:120]})") from None
    if isinstance(state, dict) and {"format", "network", "optimizer"} <= state.keys():
        state = state.get("average") or state["network"]
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        keys = f"a dict of {_some(sorted(map(str, state)))}" if isinstance(state, dict) else type(state).__name__
        raise InputError(f"{refusal}, got {keys}")
    return state


def _content(path: str) -> bytes:
    if not path:
        raise InputError("weights: expected a file, got an empty name")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"weights: cannot read {path}: {error.strerror or error}") from None


def _check(own: Tensor, given: Tensor, name: str, path: str) -> None:
    if own.shape != given.shape:
        if name.startswith(HEAD):
            raise InputError(
                f"weights {path}: expected a head of {len(own)} outputs, got {_shape(given)} for {name}:"
                " --weights-head fresh ignores it"
            )
        raise InputError(f"weights {path}: expected {_shape(own)} for {name}, got {_shape(given)}")
    if own.is_floating_point() != given.is_floating_point():
        raise InputError(f"weights {path}: expected {own.dtype} for {name}, got {given.dtype}")
    if not bool(torch.isfinite(given).all()):
        raise InputError(f"weights {path}: expected finite numbers, got others in {name}")


def _shape(values: Tensor) -> str:
    return "x".join(map(str, values.shape)) or "one number"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

"""A pretended CUDA device: real numbers on the CPU, devices checked and waits recorded as a GPU would have them.

FakeTensorMode has no values, no pinned memory, and no backward without a driver. Here three layers pretend:
`_Functions` sees calls of torch's functions: it moves `device="cuda"` to the CPU and notes which storages are "there".
`_Dispatch` sees every operation below them, those of backward too: it refuses mixed devices and operations without a
kernel, notes waits, and counts what would be launched. Patches answer what torch is asked of devices.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import auglik.runs.recorded
from tests.cuda.kernels import lacks_kernel
from tests.cuda.order import Order
from tests.cuda.redone import DeviceError, Redone, address
from tests.cuda.sites import Position, site

_THERE: dict[int, StorageWeakRef] = {}
_PINNED: dict[int, StorageWeakRef] = {}
"""Storages on the device and in pinned memory by their address, which a weak reference keeps from another's use.

Of the process, as are caches of what was sent to the device.
"""
MOST = 1 << 14
"""Storages that are noted before the dead ones among them are dropped."""

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
aten = torch.ops.aten

Call = Callable[..., Any]

SYNCHRONOUS = {
    "_local_scalar_dense", "is_nonzero", "equal", "nonzero", "argwhere", "masked_select", "repeat_interleave",
    "_unique", "_unique2", "unique_dim", "unique_consecutive", "bincount", "_linalg_check_errors", "_linalg_eigh",
    "linalg_eigh", "histc", "allclose", "multinomial", "linspace", "logspace", "embedding_renorm_", "_ctc_loss",
    "_linalg_svd", "linalg_eig", "_linalg_eigvals", "linalg_lstsq", "linalg_matrix_exp",
}  # fmt: skip
"""Operations whose results or their shapes the host must have before it goes on."""
COPIES = {"copy_", "_to_copy", "set_"}
FROM_NUMBERS = ("tensor", "as_tensor", "asarray", "new_tensor")
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}
"""Operations that take tensors of both devices; whether they wait is found out apart."""
LAUNCHES_NOTHING = {
    "alias", "as_strided", "chunk", "detach", "diagonal", "empty", "empty_like", "empty_strided", "expand", "is_pinned",
    "lift_fresh", "movedim", "new_empty", "new_empty_strided", "permute", "record_stream", "resize_", "select", "set_",
    "slice", "split", "split_with_sizes", "squeeze", "t", "transpose", "unbind", "unflatten", "unfold", "unsqueeze",
    "view", "_has_compatible_shallow_copy_type", "_local_scalar_dense", "_reshape_alias", "_unsafe_view", "_version",
}  # fmt: skip
"""Views, allocations, and copies to the host, which are waits of their own."""


WITHOUT_ORDER = {
    "_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward", "_ctc_loss_backward",
    "adaptive_max_pool2d_backward", "avg_pool3d_backward",
    "fractional_max_pool2d_backward", "fractional_max_pool3d_backward", "grid_sampler_2d_backward",
    "grid_sampler_3d_backward", "histc", "max_unpool2d", "max_unpool3d", "nll_loss2d_forward", "put_",
    "reflection_pad1d_backward", "reflection_pad2d_backward", "reflection_pad3d_backward",
    "upsample_bicubic2d_backward", "upsample_bilinear2d_backward", "upsample_linear1d_backward",
    "upsample_trilinear3d_backward",
}  # fmt: skip
"""Operations that add in no fixed order on CUDA: torch refuses them where deterministic algorithms are asked for."""
WITHOUT_ORDER_GIVEN: dict[str, Callable[[Mapping[str, object]], bool]] = {
    "_embedding_bag_backward": lambda given: given["mode"] == 2,  # the maximum
    "bincount": lambda given: given.get("weights") is not None,
    "median": lambda given: "dim" in given,  # which returns places too, of equal values any
    "nanmedian": lambda given: "dim" in given,
    "scatter_reduce": lambda given: given["reduce"] == "prod",
    "scatter_reduce_": lambda given: given["reduce"] == "prod",
}
"""Operations that torch refuses so with some arguments, by what they are given."""


class Wait(NamedTuple):
    """The host waited for the device."""

    kind: str
    line: str
    """The innermost line of the project."""
    functions: tuple[str, ...]
    """The project's functions that were under way, from the innermost out."""
    position: Position | None
    """Where the innermost loop was."""


class Record:
    """What happened on the device: where its storages lie, waits, and launches by the part that was under way."""

    def __init__(self) -> None:
        self.waits: Counter[Wait] = Counter()
        self.launches: dict[str, Counter[str]] = {}
        self._part = "other"
        self.order = Order(self.wait)
        self.layouts: Counter[str] = Counter()
        """Lines of the project by how often they convolve what is not channels last."""

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Counts launches under that name."""
        before, self._part = self._part, name
        try:
            yield
        finally:
            self._part = before

    def launched(self, part: str) -> int:
        return sum(self.launches.get(part, {}).values())

    def launch(self, name: str) -> None:
        if name not in LAUNCHES_NOTHING:
            self.launches.setdefault(self._part, Counter())[name] += 1

    def wait(self, kind: str) -> None:
        self.waits[Wait(kind, *site())] += 1
        self.order.waited()

    def has(self, tensor: Tensor) -> bool:
        return address(tensor) in _THERE

    def is_pinned(self, tensor: Tensor) -> bool:
        return address(tensor) in _PINNED

    def put(self, values: object) -> object:
        """Notes that all tensors among `values` are on the device."""
        for leaf in tree_leaves(values):
            if isinstance(leaf, Tensor):
                _note(_THERE, leaf)
        return values

    def pin(self, tensor: Tensor) -> Tensor:
        """A copy in pinned memory."""
        copied = self.host_copy(tensor)
        _note(_PINNED, copied)
        return copied

    def host_copy(self, tensor: Tensor) -> Tensor:
        with torch._C.DisableTorchFunction(), torch.utils._python_dispatch._disable_current_modes():
            copied = tensor.clone() if tensor.requires_grad else tensor.detach().clone()
        _THERE.pop(address(copied), None)
        return copied


def _note(table: dict[int, StorageWeakRef], tensor: Tensor) -> None:
    storage = tensor.untyped_storage()
    table.setdefault(storage._cdata, StorageWeakRef(storage))
    if len(table) % MOST == 0:
        for address in [address for address, reference in list(table.items()) if reference.expired()]:
            table.pop(address, None)


def _is_cuda(device: object) -> bool:
    return isinstance(device, str | torch.device) and torch.device(device).type == "cuda"


class _Functions(TorchFunctionMode):
    def __init__(self, record: Record, made: threading.local) -> None:
        super().__init__()
        self.record, self.made = record, made

    def __torch_function__(
        self, function: Call, kinds: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> object:
        named, name = dict(kwargs or {}), getattr(function, "__name__", str(function))
        first = args[0] if args and isinstance(args[0], Tensor) else None
        if name == "__get__":
            return function(*args, **named)
        if first is not None and self.record.has(first):
            if name in ("numpy", "__array__"):
                raise DeviceError("a tensor on cuda was taken for an array of the host")
            if name == "tolist":
                self.record.wait("tolist")
            if name == "__repr__" or (name == "__format__" and first.ndim > 0):
                self.record.wait("printed")
            if name == "cpu" or (name == "type" and "cuda" not in str(args[1:]) and isinstance(args[-1], str)):
                self.record.wait("copy to the host")
                return self.record.host_copy(function(*args, **named))
        if first is not None and name == "pin_memory":
            if self.record.has(first):
                raise DeviceError("a tensor on cuda cannot be pinned")
            return self.record.pin(first)
        if first is not None and name in ("to", "cuda"):
            return self.moved(first, name, args[1:], named)
        device = named.get("device")
        self.check_generator(named.get("generator"), device, first)
        if name == "where":
            self.where(args)
        there = _is_cuda(device) or (device is None and first is not None and self.like(name, first))
        if name in FROM_NUMBERS:
            self.from_numbers(name, named.get("data", args[-1]), there)
        if not _is_cuda(device):
            found = function(*args, **named)
            return self.record.put(found) if there else found
        named["device"] = CPU
        self.made.here = True
        try:
            found = self.record.put(function(*args, **named))
        finally:
            self.made.here = False
        self.record.order.launch(name, (), (), [leaf for leaf in tree_leaves(found) if isinstance(leaf, Tensor)])
        return found

    def like(self, name: str, first: Tensor) -> bool:
        return (name.startswith("new_") or name in FROM_NUMBERS) and self.record.has(first)

    def from_numbers(self, name: str, numbers: object, there: bool) -> None:
        """Every number is asked for by itself; all go to the device together."""
        for leaf in tree_leaves(numbers) if isinstance(numbers, Sequence) else ():
            if isinstance(leaf, Tensor) and self.record.has(leaf):
                self.record.wait("number of a tensor")
        if there and not (isinstance(numbers, Tensor) and self.record.has(numbers)):
            self.record.wait(f"copy to the device, pageable: torch.{name}")

    def where(self, args: Sequence[object]) -> None:
        """Numbers are filled in there, but tensors of the host without dimensions are copied."""
        there = [self.record.has(arg) for arg in args if isinstance(arg, Tensor)]
        if any(there) and not all(there):
            self.record.wait("copy to the device, pageable: torch.where")

    def check_generator(self, generator: object, device: object, first: Tensor | None) -> None:
        if isinstance(generator, torch.Generator):
            there = _is_cuda(device) or (device is None and first is not None and self.record.has(first))
            if there != (generator.device.type == "cuda"):
                raise DeviceError(f"a generator of {generator.device.type} draws on {'cuda' if there else 'cpu'}")

    def moved(self, x: Tensor, name: str, args: Sequence[Any], named: dict[str, Any]) -> Tensor:
        """Tensor.to and Tensor.cuda in all their forms."""
        device, rest = named.pop("device", CUDA if name == "cuda" else None), list(args)
        other = named.pop("other", next((arg for arg in args if isinstance(arg, Tensor)), None))
        if other is not None:
            device, rest = other.device, [other.dtype]
        device = next((arg for arg in rest if isinstance(arg, str | torch.device)), device)
        flags = [arg for arg in rest if isinstance(arg, bool)]
        asynchronous = bool(named.pop("non_blocking", flags[0] if flags else False))
        rest = [arg for arg in rest if isinstance(arg, torch.dtype)]
        now = self.record.has(x)
        then = now if device is None else _is_cuda(device)
        if now and then:
            found = Tensor.to(x, *rest, **named)
            self.record.put(found)
            return found
        if then and not (asynchronous and self.record.is_pinned(x)):
            self.record.wait("copy to the device, " + ("waited for" if self.record.is_pinned(x) else "pageable"))
        if now:
            if asynchronous:
                raise DeviceError(f"a copy to the host that is not waited for, at {site().line}")
            self.record.wait("copy to the host")
        found = Tensor.to(x, *rest, **named) if rest or named else x
        if now:
            return self.record.host_copy(found)
        if then:
            if asynchronous and self.record.is_pinned(x):
                self.record.order.send(x)
            found = found.clone() if address(found) == address(x) else found
            self.record.put(found)
            self.record.order.launch("copy to the device", (), (), [found])
        return found


class _Dispatch(TorchDispatchMode):
    def __init__(self, record: Record, made: threading.local) -> None:
        super().__init__()
        self.record, self.made = record, made

    def __torch_dispatch__(
        self,
        function: torch._ops.OpOverload,
        kinds: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        name = function.overloadpacket.__name__
        tensors = [leaf for leaf in tree_leaves((args, kwargs or {})) if isinstance(leaf, Tensor)]
        there = [self.record.has(tensor) for tensor in tensors]
        if any(there):
            given = {one.name: arg for one, arg in zip(function._schema.arguments, args, strict=False)}
            self.check(function, name, tensors, there, {**given, **(kwargs or {})})
            self.note_waits(name, args, kwargs or {}, tensors, there)
            self.record.launch(name)
        elif getattr(self.made, "here", False) or name == "scalar_tensor":  # torch.where(mask, 0, x) fills one there
            self.record.launch(name)
        found = function(*args, **(kwargs or {}))
        if any(there) and not (name in ("copy_", "set_") and not there[0]):
            self.record.put(found)
        if any(there):
            self.note_order(function, name, args, kwargs or {}, tensors, found)
        elif function._schema.is_mutable:
            for tensor in tensors:
                if self.record.is_pinned(tensor):
                    self.record.order.check_sent(tensor)
        return found

    def note_order(
        self,
        function: torch._ops.OpOverload,
        name: str,
        args: Sequence[Any],
        named: Mapping[str, Any],
        tensors: list[Tensor],
        found: object,
    ) -> None:
        order = self.record.order
        if not order.several:
            return
        made = [leaf for leaf in tree_leaves(found) if isinstance(leaf, Tensor) and self.record.has(leaf)]
        if name in LAUNCHES_NOTHING:
            order.launch(name, (), (), made)
            return
        changed = {one.name for one in function._schema.arguments if one.is_write}
        given = {one.name: arg for one, arg in zip(function._schema.arguments, args, strict=False)} | dict(named)
        written = [leaf for leaf in tree_leaves([given[one] for one in changed if one in given])
                   if isinstance(leaf, Tensor) and self.record.has(leaf)]  # fmt: skip
        read = [one for one in tensors if self.record.has(one) and not any(one is other for other in written)]
        order.launch(name, read, written, made)

    def check(
        self,
        function: torch._ops.OpOverload,
        name: str,
        tensors: list[Tensor],
        there: list[bool],
        given: Mapping[str, object],
    ) -> None:
        if lacks_kernel(function, tensors):
            kinds = ", ".join(str(tensor.dtype).removeprefix("torch.") for tensor in tensors)
            raise DeviceError(f"{function} has no CUDA kernel for {kinds}, at {site().line}")
        unordered = name in WITHOUT_ORDER or (name in WITHOUT_ORDER_GIVEN and WITHOUT_ORDER_GIVEN[name](given))
        if unordered and torch.are_deterministic_algorithms_enabled():
            raise DeviceError(f"{function} has no deterministic implementation, at {site().line}")
        if name in COPIES | INDEXING:
            return
        # Elementwise, numbers of the host (tensors without dimensions) may enter, but they are no masks.
        elementwise = torch.Tag.pointwise in function.tags
        numbers = [elementwise and tensor.ndim == 0 for tensor in tensors]
        if name.startswith("masked_fill"):
            numbers[1] = False
        if name == "fill_":
            numbers[-1] = tensors[-1].ndim == 0
        written = function._schema.is_mutable and not there[0]
        if written or not all(on or number for on, number in zip(there, numbers, strict=True)):
            shapes = [f"{'cuda' if on else 'cpu'} {list(t.shape)}" for t, on in zip(tensors, there, strict=True)]
            raise DeviceError(f"{function}: expected all tensors on one device, got {shapes}, at {site().line}")

    def note_waits(
        self, name: str, args: Sequence[Any], named: Mapping[str, Any], tensors: list[Tensor], there: list[bool]
    ) -> None:
        known_size = name == "repeat_interleave" and named.get("output_size") is not None
        if name in SYNCHRONOUS and not known_size:
            self.record.wait(name)
        if name == "copy_" and there[0] != there[1]:
            asynchronous = bool(args[2]) if len(args) > 2 else bool(named.get("non_blocking"))
            if asynchronous and there[1]:
                raise DeviceError(f"a copy to the host that is not waited for, at {site().line}")
            if asynchronous and self.record.is_pinned(tensors[1]):
                self.record.order.send(tensors[1])
            else:
                self.record.wait("copy to the device, pageable" if there[0] else "copy to the host")
        if name == "convolution" and not channels_last(tensors[0]):
            self.record.layouts[site().line] += 1
        if name in INDEXING:
            for index in args[1]:
                if index is not None and index.dtype in (torch.bool, torch.uint8):
                    self.record.wait("index by a boolean mask")
                if index is not None and not self.record.has(index):
                    self.record.wait("index from the host")
            if name != "index" and not self.record.has(args[2]):
                self.record.wait("values from the host")


def channels_last(images: Tensor) -> bool:
    """Or so small that it makes no difference."""
    small = images.ndim != 4 or min(images.shape[1:]) == 1
    return small or images.is_contiguous(memory_format=torch.channels_last)


class _Generator(torch.Generator):
    """One of the CPU that says it is of the device that was asked for."""

    asked: torch.device

    def __new__(cls, device: torch.device | str = "cpu") -> "_Generator":
        made = super().__new__(cls, "cpu")  # type: ignore[call-arg]
        made.asked = torch.device(device)
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA if self.asked.type == "cuda" else CPU


@contextmanager
def pretended_cuda(free: int = 60 << 30) -> Iterator[Record]:
    """Within it, the device "cuda" works, with `free` bytes of memory; the record tells what happened on it."""
    record, made = Record(), threading.local()
    order = record.order
    autocast, submit = torch.autocast, ThreadPoolExecutor.submit
    reduce = vars(Tensor)["_reduce_ex_internal"]
    group = vars(torch.nn.utils.clip_grad)["_group_tensors_by_device_and_dtype"]

    def autocast_of(device_type: str, *args: object, **named: object) -> object:
        return autocast("cpu" if device_type == "cuda" else device_type, *args, **named)  # type: ignore[arg-type]

    @contextmanager
    def modes() -> Iterator[None]:
        with _Dispatch(record, made), _Functions(record, made):
            yield

    def submitted(self: ThreadPoolExecutor, call: Call, *args: object, **named: object) -> Future[object]:
        def inside() -> object:
            with modes():
                return call(*args, **named)

        return submit(self, inside)

    def grouped(tensors: list[list[Tensor]]) -> dict[tuple[torch.device, torch.dtype], object]:
        """Torch groups below what is pretended: all of one call lie together."""
        found = group(tensors)
        return {(tensors[0][0].device, dtype): of_dtype for (_, dtype), of_dtype in found.items()}

    def reduced(self: Tensor, protocol: int) -> object:
        if record.has(self):
            record.wait("copy to the host")
        return reduce(self, protocol)

    patches: list[tuple[object, str, object]] = [
        (Tensor, "_reduce_ex_internal", reduced),
        (Tensor, "record_stream", lambda self, stream: order.keep(self, stream)),
        (auglik.runs.recorded, "Recording", partial(Redone, waits=record.waits.total)),
        (torch.cuda, "Stream", order.stream),
        (torch.cuda, "Event", order.event),
        (torch.cuda, "current_stream", order.current),
        (torch.cuda, "default_stream", lambda device=None: order.default),
        (torch.cuda, "stream", order.on),
        (torch.cuda, "synchronize", order.synchronize),
        (torch, "Generator", _Generator),
        (torch, "autocast", autocast_of),
        (torch.nn.utils.clip_grad, "_group_tensors_by_device_and_dtype", grouped),
        (ThreadPoolExecutor, "submit", submitted),
        (torch.cuda, "mem_get_info", lambda device=None: (free, 80 << 30)),
        (torch.cuda, "get_device_name", lambda device=None: "pretended"),
        (torch.cuda, "is_bf16_supported", lambda including_emulation=True: True),
    ]
    answers: dict[str, Callable[[Tensor], object]] = {
        "device": lambda self: CUDA if record.has(self) else CPU,
        "is_cuda": record.has,
        "is_cpu": lambda self: not record.has(self),
    }
    with ExitStack() as stack:
        for owner, name, value in patches:
            stack.enter_context(mock.patch.object(owner, name, value))
        for name, answer in answers.items():
            setattr(Tensor, name, property(answer))
            stack.callback(delattr, Tensor, name)
        with modes():
            yield record
            order.check_sent()

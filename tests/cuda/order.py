"""Order on a pretended device: what a stream reads, reuses or the host overwrites before others have ended with it.

Work is done as it is launched, so that values never tell. Every stream counts its launches and knows up to which one of
each other stream it has waited; with one stream alone nothing is counted.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from tests.cuda.redone import DeviceError, address
from tests.cuda.sites import site

MOST = 1 << 14
"""Storages that are followed before the dead ones among them are dropped."""


class Stream:
    """As torch.cuda.Stream."""

    def __init__(self, waited: Callable[["Stream"], None]) -> None:
        self.launched = 1
        self.seen: dict[Stream, int] = {}
        self._waited = waited

    def has_seen(self, stream: "Stream", launch: int) -> bool:
        return stream is self or self.seen.get(stream, 0) >= launch

    def wait_stream(self, stream: "Stream") -> None:
        self.wait_event(stream.record_event())

    def wait_event(self, event: "Event") -> None:
        for stream, launch in event.seen.items():
            self.seen[stream] = max(launch, self.seen.get(stream, 0))

    def record_event(self, event: "Event | None" = None) -> "Event":
        event = event or Event(self)
        event.stream, event.seen = self, {**self.seen, self: self.launched}
        return event

    def synchronize(self) -> None:
        self._waited(self)


class Event:
    """As torch.cuda.Event."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.seen = stream, dict[Stream, int]()

    def record(self, stream: Stream | None = None) -> None:
        (stream or self.stream).record_event(self)

    def wait(self, stream: Stream | None = None) -> None:
        (stream or self.stream).wait_event(self)

    def synchronize(self) -> None:
        self.stream.synchronize()


class Use:
    """Of a storage: the stream that its memory is of, the last launch that wrote it, and those that read it since."""

    def __init__(self, tensor: Tensor, home: Stream, launch: int) -> None:
        self.storage = StorageWeakRef(tensor.untyped_storage())
        self.home, self.written, self.read = home, (home, launch), dict[Stream, int]()
        self.kept: set[Stream] = set()

    def launches(self) -> Iterator[tuple[Stream, int]]:
        yield self.written
        yield from self.read.items()


class Sent(NamedTuple):
    """A copy from pinned memory that may be under way: the tensor, its bytes as it was sent, and by which launch."""

    pinned: Tensor
    bytes: bytes
    stream: Stream
    launch: int
    line: str


class Order:
    """Of one device."""

    def __init__(self, wait: Callable[[str], None]) -> None:
        self._wait = wait
        self.default = Stream(self._synchronized)
        self.several, self._began = False, self.default.launched
        self._of_thread = threading.local()
        self._uses: dict[int, Use] = {}
        self._abroad: dict[int, Use] = {}
        """Of storages that other streams used than that of their memory."""
        self._sent: list[Sent] = []

    def stream(self, device: object = None, priority: int = 0) -> Stream:
        """A new one, which has waited for nothing."""
        if not self.several:
            self.several, self._began = True, self.default.launched
        return Stream(self._synchronized)

    def event(self, enable_timing: bool = False) -> Event:
        return Event(self.current())

    def current(self, device: object = None) -> Stream:
        return getattr(self._of_thread, "stream", self.default)

    @contextmanager
    def on(self, stream: Stream | None) -> Iterator[None]:
        before = self.current()
        self._of_thread.stream = stream or before
        try:
            yield
        finally:
            self._of_thread.stream = before

    def synchronize(self, device: object = None) -> None:
        self._wait("synchronize")
        self.ended(lambda sent: True)

    def _synchronized(self, stream: Stream) -> None:
        self._wait("synchronize")
        self.ended(lambda sent: stream.has_seen(sent.stream, sent.launch))

    def waited(self) -> None:
        """The host has waited for the current stream."""
        stream = self.current()
        self.ended(lambda sent: stream.has_seen(sent.stream, sent.launch))

    def launch(self, name: str, read: Sequence[Tensor], written: Sequence[Tensor], made: Sequence[Tensor] = ()) -> None:
        """Work on the current stream. Raises DeviceError where it may come before what it needs."""
        if not self.several:
            return
        now = self.current()
        now.launched += 1
        for tensor in read:
            use = self._use(tensor)
            if not now.has_seen(*use.written):
                self._refuse(name, "reads what another stream writes")
            use.read[now] = now.launched
            self._note_abroad(tensor, use, now)
        for tensor in written:
            use = self._use(tensor)
            if not all(now.has_seen(*of) for of in use.launches()):
                self._refuse(name, "overwrites what another stream uses")
            use.written, use.read = (now, now.launched), {}
            self._note_abroad(tensor, use, now)
        new = [tensor for tensor in made if address(tensor) not in self._uses]
        if new:
            self._reused(name, now)
        for tensor in new:
            self._uses[address(tensor)] = Use(tensor, now, now.launched)

    def _use(self, tensor: Tensor) -> Use:
        """What was there before there were several streams is of the default one."""
        if len(self._uses) > MOST:
            self._uses = {place: use for place, use in self._uses.items() if not use.storage.expired()}
        found = self._uses.get(address(tensor))
        if found is None:
            found = self._uses[address(tensor)] = Use(tensor, self.default, self._began)
        return found

    def _note_abroad(self, tensor: Tensor, use: Use, now: Stream) -> None:
        if use.home is not now:
            self._abroad[address(tensor)] = use

    def _reused(self, name: str, now: Stream) -> None:
        """New memory of a stream may be that of a tensor that is gone."""
        for place, use in [(place, use) for place, use in self._abroad.items() if use.home is now]:
            if all(now.has_seen(*of) for of in use.launches() if of[0] not in use.kept):
                del self._abroad[place]
            elif use.storage.expired():
                del self._abroad[place]
                self._refuse(name, "may reuse the memory of a tensor that is gone, which another stream uses")

    def keep(self, tensor: Tensor, stream: Stream) -> None:
        """As Tensor.record_stream: its memory is not reused before that stream has ended with it."""
        self._use(tensor).kept.add(stream)

    def send(self, pinned: Tensor) -> None:
        """A copy to the device that the host does not wait for."""
        self.check_sent(pinned)
        now = self.current()
        self._sent.append(Sent(pinned.detach(), bytes_of(pinned), now, now.launched, site().line))

    def check_sent(self, written: Tensor | None = None) -> None:
        """Raises DeviceError where the host has overwritten what is being copied: all of it, or of one storage."""
        for sent in self._sent:
            if written is not None and address(sent.pinned) != address(written):
                continue
            if bytes_of(sent.pinned) != sent.bytes:
                self._sent.clear()
                raise DeviceError(
                    f"pinned memory was overwritten while its copy, sent at {sent.line}, was under way;"
                    f" found at {site().line}"
                )

    def ended(self, has: Callable[[Sent], bool]) -> None:
        self.check_sent()
        self._sent = [sent for sent in self._sent if not has(sent)]

    def _refuse(self, name: str, how: str) -> None:
        raise DeviceError(f"{name} {how}, without having waited for it, at {site().line}")


def bytes_of(tensor: Tensor) -> bytes:
    with torch._C.DisableTorchFunction(), torch.utils._python_dispatch._disable_current_modes():
        return bytes(tensor.detach().contiguous().flatten().view(torch.uint8).numpy())

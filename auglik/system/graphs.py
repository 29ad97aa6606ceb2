"""CUDA graphs: work that a host launches once, kernel by kernel, and a device then repeats at one request."""

from collections.abc import Callable
from typing import Generic, TypeVar, final

import torch

R = TypeVar("R")


@final
class Recording(Generic[R]):
    """What `work` launches, recorded without being done; every `replay` does it, on the same memory.

    `work` reads and writes tensors in place, and must have been done before on `stream`, which is the recorded one: a
    library chooses its kernels the first time. Whatever the host decides in it is decided once.
    """

    def __init__(self, work: Callable[[], R], stream: torch.cuda.Stream) -> None:
        self._graph = torch.cuda.CUDAGraph()
        # Another thread that reads images ahead may ask for memory meanwhile, which a global capture would forbid.
        with torch.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
            self._result = work()

    def replay(self) -> R:
        """The tensors that the work returned when it was recorded, with new values; the next replay changes them."""
        self._graph.replay()
        return self._result

"""What an engine carries out: training runs, scores of a run under conditions, studies."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import torch

from auglik.system.processes import Processes
from auglik.system.stop import StopRequest

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Task(Protocol[R_co]):
    """Work that leaves an R in its folder; picklable, as another process may do it."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def folder(self) -> Path:
        """Claimed while the task is worked on, so that no two processes do."""

    @property
    def output(self) -> Path:
        """What the folders of a command's tasks lie in; machines that share the work all see it."""

    @property
    def errors(self) -> Path:
        """Why it failed, on the first line; then the traceback of an error that is not the user's."""

    @property
    def size(self) -> float:
        """Its part of a command's work, beside those of other tasks of its kind."""

    @property
    def threads(self) -> int:
        """Of each of its processes, when it begins."""

    @property
    def device(self) -> torch.device: ...

    @property
    def datasets(self) -> Sequence[tuple[str, Path]]:
        """Names or paths of what it reads, and the folder of data sets."""

    @property
    def imports(self) -> Sequence[str]:
        """Modules that processes of its kind share: none may start threads, or begin to use JAX, when imported."""

    def absolute(self) -> "Task[R_co]":
        """The same for a process in another working folder."""

    def again(self) -> "Task[R_co]":
        """The same, going on from what was done of it."""

    def check(self) -> None:
        """Raises InputError where the folder is not free for it."""

    def found(self) -> R_co | None:
        """What lies in the folder already, whoever did it. Raises InputError where that is damaged."""

    def share(self) -> float:
        """How much of it is done, as the folder says."""

    def execute(self, stop: StopRequest, progress: Callable[[float], None], processes: Processes) -> R_co:
        """In all `processes`. Raises InputError, and Interrupted once `stop` is set."""

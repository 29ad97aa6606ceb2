"""What work asks of its process: memory that it frees is there for it again, until it ends."""

import platform
import resource

import pytest
import torch

from auglik.system.process import process_state


def pages_given() -> int:
    """How many pages the system gives for a tensor of 64 MiB, which is freed at once."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**26, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are not asked")
def test_freed_memory_stays_with_a_process_while_it_works() -> None:
    with process_state(torch.get_num_threads()):
        kept = min(pages_given() for _ in range(8))
    assert pages_given() > 4 * kept  # in pages of 4 KiB or 2 MiB

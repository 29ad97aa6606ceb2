"""What the host of a GPU has to do in a training step: kernels launched by part, beside the time that they take there.

The counts are of a pretended CUDA device and hold anywhere; the milliseconds are those of an H100, estimated: LAUNCH of
the host for each kernel, and the device's time by its roofline, from multiplications counted on this machine. With
--compiled, views, loss and meters are those of a compiled run, and before them stands what torch.compile makes of each
function for this machine's CPU.
"""

from collections.abc import Callable
from functools import partial

import click
import torch
from torch import Tensor
from torch._inductor import config as inductor
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from auglik import AGGREGATORS, LIKELIHOODS, Objective
from auglik.system.compiling import check_compiler
from auglik.views.augmentations.fcr import levels
from auglik.views.mollification import blurred, noised
from auglik.views.operations.running import COMPILABLE_ELSEWHERE
from auglik.views.store import spread
from benchmarks.command import COUNT, benchmark
from benchmarks.timing import machine
from tests.cuda.parts import COMPILED, NETWORK, Rest, Views, count_rest, count_views
from tests.cuda.pretended import LAUNCHES_NOTHING

LAUNCH = 5e-6
"""Seconds of the host for a kernel: Python, the dispatcher and the driver."""
FLOPS, REACHED = 989e12, 0.3
"""Of an H100 SXM in bf16 by its data sheet, and the share that fast trainers of CIFAR networks reach on an A100."""
AUGMENTATIONS = ("fcr", "fcr,trivial-augment", "fcr,rand-augment", "fcr,augmix")


def flops_of_an_image() -> int:
    """Of a step of the network: forward and backward."""
    rest = Rest(torch.device("cpu"), images=2)
    with FlopCounterMode(display=False) as counted:
        rest.step(Objective(LIKELIHOODS["smoothed"], AGGREGATORS["jensen"]))
    return counted.get_total_flops() // 2


def compiled_functions() -> dict[str, Callable[[], Tensor]]:
    """What a compiled run compiles but for its network, through torch.compile, on the views of a batch."""
    V, generator = 128, torch.Generator().manual_seed(0)
    images = torch.randint(256, (V, 3, 32, 32), dtype=torch.uint8, generator=generator)
    rows, where = torch.rand(V, 6, generator=generator), torch.arange(V // 2)
    gallery, of_view, t = Views("fcr", torch.device("cpu")).gallery, torch.ones(V, dtype=torch.int32), rows[:, 0]
    loss = Objective(LIKELIHOODS["smoothed"], AGGREGATORS["jensen"]).loss
    found: dict[str, Callable[[], Tensor]] = {
        source.__name__: partial(torch.compile(source), images, rows)
        for source in COMPILABLE_ELSEWHERE.values()
        if source.__name__ != "mixture"
    }
    mixture = torch.compile(next(source for source in COMPILABLE_ELSEWHERE.values() if source.__name__ == "mixture"))
    return found | {
        "mixture": partial(mixture, images[:, None].repeat(1, 3, 1, 1, 1), rows),
        "spread": partial(torch.compile(spread), images, t[:3], t[:3]),
        "levels": partial(torch.compile(levels), gallery, of_view, of_view > 0, of_view, of_view, t, t),
        "blurred": partial(torch.compile(blurred), images.float(), where, t),
        "noised": partial(torch.compile(noised), images.float(), where, t, torch.arange(V)),
        "loss": partial(torch.compile(loss), torch.rand(1, V, 10), t[None], torch.arange(V) % 10),
    }


def kernels_made(call: Callable[[], Tensor]) -> int:
    """Kernels that a compiled function runs: those that were generated for it, and operations of torch."""
    call()
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        call()
    made = 0
    for event in profiled.events():
        above, launches = event.cpu_parent, event.name.removeprefix("aten::") not in LAUNCHES_NOTHING
        while above is not None and not above.name.startswith("aten::"):
            above = above.cpu_parent
        made += "cpp_fused" in event.name or (event.name.startswith("aten::") and launches and above is None)
    return made


@benchmark(__doc__)
@click.option("--batch", type=COUNT, default=512, show_default=True, help="Images in a step, K = 1")
@click.option("--compiled", is_flag=True, help="A compiled run's views, loss and meters")
def main(batch: int, compiled: bool) -> None:
    if compiled:
        check_compiler(torch.device("cpu"))
    parts = count_rest(Objective(LIKELIHOODS["smoothed"], AGGREGATORS["jensen"]), compiled=compiled)
    if compiled:
        with inductor.patch({"cpp.enable_kernel_profile": True, "force_disable_caches": True}):
            print(f"{'function':<32}{'kernels made':>14}{'counted':>9}")
            for name, call in compiled_functions().items():
                print(f"{name:<32}{kernels_made(call):>14}{COMPILED[name]:>9}")
    device = 1e3 * batch * flops_of_an_image() / (FLOPS * REACHED)
    print(f"A step of {NETWORK}, {batch} images of 32x32, K = 1, mollified, smoothed + jensen; {machine()}")
    print(f"{'part':<32}{'kernels':>8}{'host ms (estimated)':>22}")
    for name, count in parts.items():
        print(f"{name:<32}{count:>8}{1e3 * LAUNCH * count:>22.2f}")
    for augment in AUGMENTATIONS:
        views = count_views(augment, compiled=compiled)
        whole = views + sum(parts.values())
        print(f"{'views, ' + augment:<32}{views:>8}{1e3 * LAUNCH * views:>22.2f}")
        print(f"{'  whole step':<32}{whole:>8}{1e3 * LAUNCH * whole:>22.2f}")
    print(f"{'device, by its roofline':<32}{'':>8}{device:>22.2f}")


if __name__ == "__main__":
    main()

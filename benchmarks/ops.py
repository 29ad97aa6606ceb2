"""What the host of a GPU has to do in a training step: kernels launched by part, beside the time that they take there.

The counts are of a pretended CUDA device and hold anywhere; the milliseconds are those of an H100, estimated: LAUNCH of
the host for each kernel, and the device's time by its roofline, from multiplications counted on this machine.
"""

import argparse

import torch
from torch.utils.flop_counter import FlopCounterMode

from auglik import AGGREGATORS, LIKELIHOODS, Objective
from benchmarks.timing import machine
from tests.cuda.parts import NETWORK, Rest, count_rest, count_views

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--batch", type=int, default=512, help="Images in a step, K = 1 [512]")
    batch = parser.parse_args().batch
    parts = count_rest(Objective(LIKELIHOODS["smoothed"], AGGREGATORS["jensen"]))
    device = 1e3 * batch * flops_of_an_image() / (FLOPS * REACHED)
    print(f"A step of {NETWORK}, {batch} images of 32x32, K = 1, mollified, smoothed + jensen; {machine()}")
    print(f"{'part':<32}{'kernels':>8}{'host ms (estimated)':>22}")
    for name, count in parts.items():
        print(f"{name:<32}{count:>8}{1e3 * LAUNCH * count:>22.2f}")
    for augment in AUGMENTATIONS:
        views = count_views(augment)
        whole = views + sum(parts.values())
        print(f"{'views, ' + augment:<32}{views:>8}{1e3 * LAUNCH * views:>22.2f}")
        print(f"{'  whole step':<32}{whole:>8}{1e3 * LAUNCH * whole:>22.2f}")
    print(f"{'device, by its roofline':<32}{'':>8}{device:>22.2f}")


if __name__ == "__main__":
    main()

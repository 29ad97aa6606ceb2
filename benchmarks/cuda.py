"""A training step on this machine's GPU beside the bare network's, and what host and device do in it.

Ours is `auglik.runs.training.train` on random images of CIFAR-10's shape: draws, flips, crops, rotations,
TrivialAugment and mollification, network, smoothed + jensen, SGD, meters, checks, validation and checkpoint. The bare
loop takes as many steps of the same network on as many ready images; all are timed in turn, round by round. With
--profile follows what torch's profiler counts in one more training: kernels and device time of a step, the share of the
time that the device is busy, and the costliest kernels.
"""

import statistics

import click
import torch
from torch.profiler import ProfilerActivity, profile

from auglik.objectives import InputError
from auglik.runs.resolve import TrainingData
from auglik.runs.resolved import ResolvedRun
from auglik.system.devices import choose_device
from benchmarks import timing
from benchmarks.command import COUNT, benchmark, rounds_option
from benchmarks.training import bare, ours, prepared

CASES = (
    ("fast-resnet", 1, 512), ("fast-resnet", 4, 128), ("preact-resnet-18", 1, 512), ("preact-resnet-18", 4, 128),
    ("wide-resnet-28-10", 1, 128), ("small-cnn", 4, 128),
)  # fmt: skip
"""Networks, views of an image, and images in a step."""


def print_profile(run: ResolvedRun, data: TrainingData, steps: int, kernels: int) -> None:
    """Of one training."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        seconds = timing.seconds_of(lambda: ours(run, data))
    events = [event for event in profiled.key_averages() if event.device_type.name == "CUDA"]
    busy = sum(event.self_device_time_total for event in events) / 1e6
    launched = sum(event.count for event in events)
    print(
        f"  profiled: {1e3 * seconds / steps:.2f} ms, {launched / steps:.0f} kernels and copies,"
        f" {1e3 * busy / steps:.2f} ms of the device, busy {100 * busy / seconds:.0f}% of the time"
    )
    for event in sorted(events, key=lambda event: -event.self_device_time_total)[:kernels]:
        print(f"    {event.self_device_time_total / 1e3 / steps:8.3f} ms {event.count / steps:6.1f}  {event.key[:90]}")
    waits = [event for event in profiled.key_averages() if "Synchronize" in event.key]
    for event in waits:
        print(f"    {event.key}: {event.count} in all, {event.self_cpu_time_total / 1e3:.0f} ms of the host")


@benchmark(__doc__)
@click.option(
    "--network", "networks", multiple=True, type=click.Choice(sorted({name for name, *_ in CASES})), help="[all]"
)
@click.option("--augment", default="fcr,trivial-augment", show_default=True)
@click.option("--compiled", "also", is_flag=True, help="With --compile too")
@click.option("--profile", "kernels", type=COUNT, metavar="KERNELS", help="And the costliest kernels of one training")
@click.option("--validation", type=click.FloatRange(0, 1, max_open=True), default=0.1, show_default=True,
              help="Share of the images, scored in float32")  # fmt: skip
@click.option("--steps", type=COUNT, default=200, show_default=True)
@rounds_option(3)
def main(
    networks: tuple[str, ...], augment: str, also: bool, kernels: int | None, validation: float, steps: int, rounds: int
) -> None:
    if not torch.cuda.is_available():
        raise InputError("expected a machine with a CUDA device, got none")
    choose_device("cuda")
    print(timing.machine())
    print(f"{steps} steps, {augment}, mollified; milliseconds a step, median of {rounds} [min-max]")
    for network, views, batch in CASES:
        if networks and network not in networks:
            continue
        settings = {
            "device": "cuda", "network": network, "validation_fraction": validation, "views": views,
            "augment": augment, "batch_size": batch,
        }  # fmt: skip
        run, data = prepared(round(steps * batch / (1 - validation)), settings)
        timed = {
            "train": timing.median_of(lambda: ours(run, data), 1, warm_up=1),  # noqa: B023
            "bare": bare(run, data, steps),
        }
        if also:
            compiled = run.change(compile=True)
            timed["compiled"] = timing.median_of(lambda: ours(compiled, data), 1, warm_up=1)  # noqa: B023
        seconds = timing.interleaved(timed, rounds)
        shown = "; ".join(
            f"{name} {1e3 * statistics.median(of) / steps:.2f}"
            f" [{1e3 * min(of) / steps:.2f}-{1e3 * max(of) / steps:.2f}]"
            for name, of in seconds.items()
        )
        ratios = [ours / peer for ours, peer in zip(seconds["train"], seconds["bare"], strict=True)]
        rate = views * batch * steps / statistics.median(seconds["train"])
        print(
            f"{network}, {views} views of {batch} images, {run.precision}: {shown};"
            f" train/bare {statistics.median(ratios):.2f}; {rate:,.0f} views/s", flush=True,
        )  # fmt: skip
        if kernels is not None:
            print_profile(run, data, steps, kernels)


if __name__ == "__main__":
    main()

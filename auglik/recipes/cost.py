"""What runs will take, from a few timed steps and evaluation batches of each kind, on the machine that they are for.

The steps and the scoring are those of a run, on its training images; nothing is written, and no result is kept.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from auglik.data import first, open_dataset, opened
from auglik.experiments.plan import cost
from auglik.pretraining.runs import PretrainJob
from auglik.runs.demands import evaluated_at_once
from auglik.runs.evaluation import evaluate
from auglik.runs.loop import lengths
from auglik.runs.recorded import FIRST_STEPS, Recorded, updates_of
from auglik.runs.resolve import TrainingData, load_training, on_device
from auglik.runs.resolved import ResolvedRun
from auglik.runs.run import Job
from auglik.runs.settings import flatten
from auglik.runs.step import Batch, Learner, begin, rendered_parts, take_step
from auglik.system.keys import host_generator

FIRST_VIEWS = 16
"""Views in the first steps on a CPU, by whose time the size of those that count is chosen."""
MOST_VIEWS = 64
"""Of an image in a timed step: the time of more is proportional."""
LONG = 1.0
"""Seconds that a step or a pass of evaluation may take while it is timed: one that takes longer is timed in part."""
TIMED = 3
TOO_LONG = 60.0
"""Seconds after which no further kind is timed."""
FASTER = 0.8
"""Of a step's time: a precision that takes more is not worth a word, as other work on a machine moves times as far."""
SAME_COST = (
    "seed", "split_seed", "likelihood", "aggregator", "epochs", "learning_rate", "warmup", "momentum", "nesterov",
    "weight_decay", "rate_schedule", "gradient_clip", "average", "compile",
    "clean_share", "alpha", "beta", "k_noise", "k_blur", "soften_into", "compose",
    "online_labels", "prior", "posterior_temperature", "likelihood_temperature", "step_sizes", "draws",
    "evaluation_seed", "evaluation_images",
)  # fmt: skip
"""Settings in which runs of one kind may differ: next to the network they cost little."""

Clock = Callable[[], float]
Within = Callable[[Job], AbstractContextManager[None]]
R = TypeVar("R")


class Rates(NamedTuple):
    """Seconds that parts of a run take."""

    opening: float
    """Reading the data and placing them on the device."""
    draws: float
    """Of one pass over the training images."""
    step: float
    view: float
    """Scoring one view of one image."""


class OtherPrecision(NamedTuple):
    """The precision that was not asked for, and the share of a step's time that a step takes in it here."""

    name: str
    share: float


class Time(NamedTuple):
    """Seconds of one run."""

    training: float
    evaluation: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What runs take on this device, one at a time; a report or robustness scores come on top."""

    images: int
    """Images that pass through a network, each in K views."""
    steps: int
    times: list[Time]
    """Of every run of a kind that was timed."""
    left_out: int
    """Runs of kinds that there was no time to time."""
    compiled: bool
    """Whether some are compiled: they were timed as they are without, and compiling itself takes a minute or so."""
    faster: OtherPrecision | None = None
    """On a CPU, for the first kind, where the other precision takes FASTER of the time or less."""

    def seconds(self) -> float:
        """Of all timed runs together."""
        return sum(time.training + time.evaluation for time in self.times)


def estimate(
    jobs: Sequence[Job],
    clock: Clock = time.perf_counter,
    progress: Callable[[float], None] = lambda share: None,
    within: Within = lambda job: nullcontext(),
) -> Estimate:
    """Times each kind of run once, `within` what its engine runs it in; test images are counted, not looked at.

    Raises InputError as `execute` does.
    """
    began = clock()
    rates: dict[tuple[object, ...], Rates] = {}
    tested: dict[str, int] = {}
    folders = {job.config.dataset: job.data_dir for job in jobs}
    classes = {name: open_dataset(name, folder).classes for name, folder in folders.items()}
    images, times, left_out, faster = 0, list[Time](), 0, None
    for number, job in enumerate(jobs):
        progress(number / len(jobs))
        config = job.config
        images += cost([job], classes).views // config.views
        kind = kind_of(job)
        if kind not in rates:
            if clock() - began > TOO_LONG:
                left_out += 1
                continue
            with within(job):
                rates[kind] = rates_of(job, clock)
                if len(rates) == 1:
                    faster = faster_precision(job, rates[kind].step, clock)
        if job.scored and config.dataset not in tested:
            tested[config.dataset] = len(opened(open_dataset(config.dataset, job.data_dir), "test").labels)
        times.append(time_of(job, rates[kind], tested.get(config.dataset, 0), classes[config.dataset]))
    return Estimate(
        images=images, steps=cost(jobs, classes).steps, times=times, left_out=left_out,
        compiled=any(job.config.compile for job in jobs), faster=faster,
    )  # fmt: skip


def estimate_pretraining(
    jobs: Iterable[PretrainJob], clock: Clock = time.perf_counter, within: Within = lambda job: nullcontext()
) -> Estimate:
    """The same for SimSiam, of two views and of the backbone's time alone, which is nearly all; without its probes."""
    supervised = [
        Job(
            cell="",
            run=job.run.shared,
            settings=job.settings,
            folder=job.folder,
            data_dir=job.data_dir,
            threads=job.threads,
            scored=False,
        )
        for job in jobs
    ]
    return estimate(supervised, clock, within=within)


def kind_of(job: Job) -> tuple[object, ...]:
    """Equal for runs whose steps and evaluation take about the same time."""
    return job.threads, job.scored, *(value for key, value in flatten(job.config).items() if key not in SAME_COST)


def time_of(job: Job, rates: Rates, test_images: int, classes: int) -> Time:
    """What a run takes whose kind has these rates, on a data set of so many classes."""
    run, scoring = job.run, job.config.evaluation
    images = run.trained_on(classes)
    validation = run.train_images - images
    count = lengths(run, images)
    passes = -(-count.steps // count.steps_per_pass)
    training = rates.opening + passes * rates.draws + count.steps * rates.step + run.epochs * validation * rates.view
    if not job.scored:
        return Time(training, 0.0)
    scored = min(test_images, scoring.images or test_images)
    members = job.config.sampling.draws if run.sampler is not None else 1
    return Time(training, members * rates.view * (scored * (scoring.views + scoring.folded_views + 1) + validation))


def timed_run(job: Job) -> ResolvedRun:
    """The run whose steps are timed: not compiled, of MOST_VIEWS at most."""
    views = min(job.config.views, MOST_VIEWS)
    return job.run.change(compile=False, budget="images", batch_size=job.config.images_per_step(), views=views)


def faster_precision(job: Job, step: float, clock: Clock) -> OtherPrecision | None:
    """The other precision, if it takes less than the `step` seconds of a step in the run's own on this CPU."""
    run = timed_run(job)
    if run.device.type != "cpu" or run.precision not in (others := {"fp32": "bf16", "bf16": "fp32"}):
        return None
    run = run.change(precision=others[run.precision])
    data = load_training(run, open_dataset(job.config.dataset, job.data_dir))
    _, other = step_rate(begin(run, data), run, data, clock)
    share = other * job.config.views / (run.config.views * step)
    return OtherPrecision(run.precision, share) if share <= FASTER else None


def rates_of(job: Job, clock: Clock) -> Rates:
    """Times the parts of a run, each after a warm-up."""
    run = timed_run(job)
    asked, views, images = job.config.views, run.config.views, job.config.images_per_step()
    opening, data = timed(lambda: load_training(run, open_dataset(job.config.dataset, job.data_dir)), clock)
    learner = begin(run, data)
    draws, step = step_rate(learner, run, data, clock)
    view = step / (3 * views * min(images, len(data.training.labels)))  # the forward pass is a third of both
    times = asked / views
    scoring = view_rate(learner, job, data, view, clock) if job.scored else view
    return Rates(opening, draws * times, step * times, scoring)


def step_rate(learner: Learner, run: ResolvedRun, data: TrainingData, clock: Clock) -> tuple[float, float]:
    """Seconds of the draws of a pass and of a step; on a CPU, whose time is about proportional, perhaps of a part."""
    N, device, config = len(data.training.labels), run.device, run.config
    B, K = lengths(run, N).images, config.views
    order = host_generator(config.seed, "batches", 0).permutation(N)
    seconds, draws = timed(lambda: learner.pipeline.draw(config.seed, 0, K, N, device), clock)

    updates = updates_of(learner, run)
    steps_before = FIRST_STEPS + 1 if isinstance(updates, Recorded) else 0

    def taken_of(batch: NDArray[np.int64]) -> float:
        rendered = rendered_parts(learner, data, [Batch(draws, batch)])
        return float(take_step(learner, run, data, rendered, None, 0.0, updates).loss)

    def step(images: int) -> float:
        batch = order[:images]
        learner.pipeline.announce(data.training.gallery, draws, [batch] * (steps_before + 1))
        for _ in range(steps_before):
            taken_of(batch)
        return timed(lambda: taken_of(batch), clock)[0]

    images, took = grown(step, min(B, max(2, FIRST_VIEWS // K)) if device.type == "cpu" else B, B)
    return seconds, took * B / images


def view_rate(learner: Learner, job: Job, data: TrainingData, guess: float, clock: Clock) -> float:
    """Seconds of scoring a view of an image, from a few training images scored as test images are."""
    run, config, scoring = job.run, job.config, job.config.evaluation
    passes = int(LONG / max(guess, 1e-9))
    each = scoring.views + scoring.folded_views + 1
    arrays = opened(open_dataset(config.dataset, job.data_dir), "train")
    _, _, height, width = arrays.images.shape
    most = min(evaluated_at_once(height, width), len(arrays.labels))
    if passes < each:  # one image is too many
        folded = min(scoring.folded_views, max(1, passes // 4))
        views = min(scoring.views, max(2, folded, passes - folded - 1))
        run = run.change(evaluation_views=views, evaluation_folded_views=folded)
        each = views + folded + 1

    def scored(images: int) -> float:
        split = on_device(first(arrays, images, config.split_seed), data.mean, data.std, run.device)
        return timed(lambda: evaluate(run, learner.network, split, np.arange(images)), clock)[0]

    images, took = grown(scored, max(1, min(passes // each, most)), most)
    return took / (images * each)


def grown(work: Callable[[int], float], images: int, most: int) -> tuple[int, float]:
    """The images on which `work` takes LONG or more, else `most`, and the median of its seconds there.

    From few images up by the quickest of a few times, as what `work` takes beside the images, or what else the machine
    does meanwhile, would be counted too often; where one time is far too long, it has to do.
    """
    while (took := work(images)) < 5 * LONG:  # a warm-up
        times = [work(images) for _ in range(TIMED)]
        if min(times) >= LONG or images == most:
            return images, statistics.median(times)
        images = min(most, max(2 * images, int(images * LONG / max(min(times), 1e-9))))
    return images, took


def timed(work: Callable[[], R], clock: Clock) -> tuple[float, R]:
    """Seconds that `work` takes, and what it gives."""
    began = clock()
    result = work()
    return clock() - began, result

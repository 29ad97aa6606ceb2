"""One run over several processes: the same numbers as one process, and who writes, stops and goes on."""

import multiprocessing
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

from auglik import InputError
from auglik.experiments.engines import local
from auglik.networks.randomness import Dropout, draw_part
from auglik.robustness import RobustnessConfig, Score, evaluate_robustness, open_suite
from auglik.runs import checkpoint as checkpoints
from auglik.runs import step
from auglik.runs.loop import NonFiniteLossError
from auglik.runs.results import Results, finished
from auglik.runs.run import execute
from auglik.system import processes as processes_module
from auglik.system.launched import STARTED
from auglik.system.process import process_state
from auglik.system.processes import ONE, AgreedError, Part, Processes, check_device, joined
from auglik.system.stop import Interrupted, StopRequest
from tests import tiny

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="this torch has no torch.distributed with gloo",
)

TWENTY_STEPS: dict[str, object] = {"train_images": 156, "validation_fraction": 0.1, "batch_size": 14, "epochs": 2}
"""140 images in training: 10 steps an epoch, of 7 + 7 or 4 + 5 + 5 images."""
TWO_STEPS: dict[str, object] = {"train_images": 32, "validation_fraction": 0.1, "batch_size": 14, "epochs": 1}
"""28 images in training, for networks that have no small form."""
SCORED: dict[str, object] = {"evaluation_images": 70, "evaluation_views": 2, "evaluation_folded_views": 1}
"""One more than 64 + 4: a batch whose last part is smaller than the number of processes."""
CASES: dict[str, dict[str, object]] = {
    "small-cnn": {"network": "small-cnn:width=4", "views": 4, "gradient_clip": 0.5, "average": 0.9},
    "online": {"network": "small-cnn:width=4", "views": 1, "online_labels": 0.5},
}  # fmt: skip
"""Trained and scored by one, two and three processes."""
FAMILIES: dict[str, dict[str, object]] = {
    "fast-resnet": {"network": "fast-resnet:width=4", "views": 4, "augment": "cutmix,fcr"},
    "wide-resnet": {"network": "wide-resnet-40-2:depth=10:widen=1:dropout=0.3", "views": 4},
    "pyramidnet": {"network": "pyramidnet-272:depth=11:alpha=8", "views": 1, "augment": "mixup,fcr"},
    "densenet": {
        "network": "densenet-40:depth=10:growth=4", "views": 4, "soften": "all:smoothed", "soften_into": "both",
        "aggregator": "log-mean",
    },
    "mean weight": {
        "network": "small-cnn:width=4", "views": 1, "soften": "all:smoothed", "soften_into": "weight",
        "broadcast_weights": True,
    },
    "resnext": {"network": "resnext-29:cardinality=2:width=4", "views": 1, **TWO_STEPS},
    "all-conv": {"network": "all-conv", "views": 1, **TWO_STEPS},
    "googlenet": {"network": "googlenet", "views": 1, **TWO_STEPS},
    "efficientnet": {"network": "efficientnet-b0", "views": 1, **TWO_STEPS},
    "nasnet": {"network": "nasnet:cells=1,features=48", "views": 1, **TWO_STEPS},
}  # fmt: skip
"""Trained alone."""
OF_THREE = ("fast-resnet", "wide-resnet", "pyramidnet")
"""Fewer, as three processes wait for each other on two cores."""
OTHERS: dict[str, dict[str, object]] = {
    "local": {**CASES["online"], "batch_norm": "local"},
    "diverges": {"learning_rate": 1e30, "epochs": 3},
}
FLOAT32: dict[str, dict[str, object]] = {
    "float32 small-cnn": {"network": "small-cnn:width=4", "views": 4},
    "float32 fast-resnet": {"network": "fast-resnet:width=4", "views": 1},
}
"""As networks are."""
THREADS = (1, 2, 3, 4)
STOPPED, RESUMED = "online then stopped", "online then resumed"


class Said(NamedTuple):
    """What one process of several found."""

    results: dict[str, Results]
    stopped: str
    diverged: str
    refused: str
    """The messages with which runs ended."""
    scores: list[Score]
    """Of the first run under conditions."""


def in_float64(patch: pytest.MonkeyPatch) -> None:
    """Networks compute in float64 what they are given in float32."""
    make = step.make_network

    def double(*arguments: object) -> nn.Module:
        network = make(*arguments).double()  # type: ignore[arg-type]
        network.register_forward_pre_hook(lambda module, images: (images[0].double(),))
        return network

    patch.setattr(step, "make_network", double)


def kinds(count: int) -> dict[str, dict[str, object]]:
    """The runs that one and `count` processes are compared on."""
    return CASES | (FAMILIES if count < 3 else {name: FAMILIES[name] for name in OF_THREE})


def train(folder: Path, name: str, stop: StopRequest | None = None, processes: Processes = ONE) -> Results:
    """A run of those below, or of the first word of its name."""
    changes = {**CASES, **FAMILIES, **OTHERS, **FLOAT32}[name.partition(" then ")[0]]
    job = tiny.job(folder / name, **{**TWENTY_STEPS, **SCORED, **changes})
    return execute(replace(job, scored=name not in {**FAMILIES, **FLOAT32}), stop, processes=processes)


def missing(here: bool) -> None:
    if here:
        raise InputError("no such folder")


def robust(folder: Path, processes: Processes = ONE) -> list[Score]:
    config = RobustnessConfig(images=70, corruptions="none", mollified=False)
    return evaluate_robustness(folder / "small-cnn", open_suite("digits", Path("data"), config), processes=processes)


def work(rank: int, count: int, port: int, folder: Path, resumed: Path | None) -> None:
    """The body of process `rank`, which reads and writes below a folder of its own, or does not."""
    torch.set_num_threads(1)
    values = (rank, count, rank, count, "127.0.0.1", port)
    os.environ.update({name: str(value) for name, value in zip(STARTED, values, strict=True)})
    own = folder if rank == 0 else folder.with_name(f"{folder.name} of {rank}")
    with pytest.MonkeyPatch.context() as patch, joined() as processes:
        for name in FLOAT32 if count == 2 else ():
            train(own, name, processes=processes)
        in_float64(patch)
        results = {name: train(own, name, processes=processes) for name in kinds(count)}
        with pytest.raises(Interrupted) as stopped:
            train(own, STOPPED, tiny.StopAt(7) if rank == 1 else None, processes)
        if resumed is None:
            results["local"] = train(own, "local", processes=processes)
        else:
            if rank == 0:
                shutil.copytree(resumed, own / RESUMED)
            results[RESUMED] = train(own, RESUMED, processes=processes)
        with pytest.raises(NonFiniteLossError) as diverged:
            train(own, "diverges", processes=processes)
        with pytest.raises(AgreedError) as refused:
            processes.agreed(lambda: missing(rank == 1))
        scores = robust(folder, processes)
    said = Said(results, str(stopped.value), str(diverged.value), str(refused.value), scores)
    folder.with_name(f"{folder.name} said {rank}").write_bytes(pickle.dumps(said))


@contextmanager
def started(count: int, folder: Path, resumed: Path | None = None) -> Iterator[Callable[[], list[Said]]]:
    """Several processes at work; what each of them says, once all have ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context: SpawnContext | ForkServerContext = multiprocessing.get_context("spawn")
    if "forkserver" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(local.PRELOADED)
        local._begin_server()
    running = [context.Process(target=work, args=(rank, count, port, folder, resumed)) for rank in range(count)]
    for process in running:
        process.start()

    def said() -> list[Said]:
        while any(process.is_alive() for process in running) and not any(process.exitcode for process in running):
            time.sleep(0.05)
        assert not any(process.exitcode for process in running)
        return [pickle.loads(folder.with_name(f"{folder.name} said {rank}").read_bytes()) for rank in range(count)]

    try:
        yield said
    finally:
        for process in running:  # the others wait for one that failed
            process.terminate()
            process.join()


class Runs(NamedTuple):
    """The runs of one, two and three processes: folders, and what the processes of each said."""

    folders: dict[int, Path]
    said: dict[int, list[Said]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("processes")
    folders = {count: folder / str(count) for count in (1, 2, 3)}
    with pytest.MonkeyPatch.context() as patch, started(2, folders[2]) as pair:
        for threads in THREADS:
            with process_state(threads):
                for name in FLOAT32:
                    train(folder / f"threads {threads}", name)
        in_float64(patch)
        alone = {name: train(folders[1], name) for name in kinds(1)}
        said = {1: [Said(alone, "", "", "", robust(folders[1]))], 2: pair()}
        with started(3, folders[3], folders[2] / STOPPED) as three:
            shutil.copytree(folders[2] / STOPPED, folders[1] / RESUMED)
            alone[RESUMED] = train(folders[1], RESUMED)
            said[3] = three()
    return Runs(folders, said)


def ended(folder: Path, settings: str) -> checkpoints.Checkpoint:
    return checkpoints.load(folder / checkpoints.NAME, settings)


def assert_same(
    folder: Path, found: Results, expected_folder: Path, expected: Results, tolerance: float = 1e-12
) -> None:
    """To rounding in float64; scores are of predictions in float32."""
    one, other = ended(folder, found.settings), ended(expected_folder, expected.settings)
    assert one.step == other.step == found.steps
    assert one.digests == other.digests
    close = partial(torch.testing.assert_close, rtol=tolerance, atol=tolerance)
    for kept, wanted in ((one.network, other.network), (one.average or {}, other.average or {})):
        assert kept.keys() == wanted.keys()
        assert any(value.dtype == torch.float64 for value in wanted.values()) or not wanted
        for name, value in wanted.items():
            close(kept[name], value, msg=partial("{}: {}".format, name))
    close(one.meters, other.meters)
    close(one.online_labels, other.online_labels)
    assert found.last_epoch == pytest.approx(expected.last_epoch, rel=1e-6)
    assert found.scores == pytest.approx(expected.scores, rel=1e-4, abs=1e-6)
    assert found.evaluation_views_digest == expected.evaluation_views_digest


@pytest.mark.parametrize(("count", "name"), [(count, name) for count in (2, 3) for name in kinds(count)])
def test_several_processes_train_what_one_does(runs: Runs, count: int, name: str) -> None:
    found, expected = runs.said[count][0].results[name], runs.said[1][0].results[name]
    close = 1e-6 if name == "mean weight" else 1e-12  # the mean weight is rounded to float32
    assert_same(runs.folders[count] / name, found, runs.folders[1] / name, expected, close)
    assert (found.processes, expected.processes) == (count, None)
    assert found.settings == expected.settings


@pytest.mark.parametrize("name", FLOAT32)
def test_in_float32_processes_differ_from_one_no_further_than_its_threads_do(runs: Runs, name: str) -> None:
    """In the norm of all weights, by the factor that two orders of the same sums may differ in, and their rounding."""

    def weights(folder: Path) -> torch.Tensor:
        found = finished(folder / name)
        assert found is not None
        return torch.cat([value.flatten().float() for value in ended(folder / name, found.settings).network.values()])

    one, *others = (weights(runs.folders[1].with_name(f"threads {threads}")) for threads in THREADS)
    furthest = max(float((other - one).norm() / one.norm()) for other in others)
    apart = float((weights(runs.folders[2]) - one).norm() / one.norm())
    assert apart <= 4 * furthest + 4 * torch.finfo(torch.float32).eps


@pytest.mark.parametrize("count", [2, 3])
def test_all_processes_find_the_same_and_the_first_alone_writes(runs: Runs, count: int) -> None:
    first, *others = (said.results for said in runs.said[count])
    folder = runs.folders[count]
    for name, found in first.items():
        assert [tiny.without_times(other[name]) for other in others] == [tiny.without_times(found)] * (count - 1)
        assert finished(folder / name) is not None
    assert not any(folder.with_name(f"{folder.name} of {rank}").exists() for rank in range(1, count))


def test_local_statistics_are_others(runs: Runs) -> None:
    one, other = (runs.said[2][0].results[name].last_epoch["loss"] for name in ("online", "local"))
    assert one != pytest.approx(other, rel=1e-6)
    assert one == pytest.approx(other, rel=0.3)


@pytest.mark.parametrize("count", [2, 3])
def test_all_processes_stop_at_one_step_where_one_is_asked_to(runs: Runs, count: int) -> None:
    assert {said.stopped for said in runs.said[count]} == {"stopped after step 8 of 20"}


@pytest.mark.parametrize("count", [2, 3])
def test_all_processes_raise_what_one_of_them_finds_wrong(runs: Runs, count: int) -> None:
    assert {said.refused for said in runs.said[count]} == {"process 1: no such folder"}


@pytest.mark.parametrize("count", [2, 3])
def test_all_processes_find_the_scores_under_conditions_that_one_does(runs: Runs, count: int) -> None:
    (expected,) = (said.scores for said in runs.said[1])
    first, *others = (said.scores for said in runs.said[count])
    assert others == [first] * (count - 1)
    assert [score.condition for score in first] == [score.condition for score in expected]
    assert [score.nll for score in first] == pytest.approx([score.nll for score in expected], rel=1e-4)


@pytest.mark.parametrize("count", [1, 3])
def test_a_run_of_two_processes_goes_on_in_others(runs: Runs, count: int) -> None:
    found, expected = runs.said[count][0].results[RESUMED], runs.said[1][0].results["online"]
    assert_same(runs.folders[count] / RESUMED, found, runs.folders[1] / "online", expected)


@pytest.mark.parametrize("count", [2, 3])
def test_all_processes_find_a_loss_that_is_not_finite(runs: Runs, count: int) -> None:
    messages = {said.diverged for said in runs.said[count]}
    assert len(messages) == 1
    assert "the loss is not finite at step" in messages.pop()


def test_torchrun_starts_a_run_and_sigterm_stops_it(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    command = [*torchrun, "auglik", "train", *tiny.options(epochs=10000, device="cpu", output=tmp_path)]
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, text=True)
        folder = tmp_path / "smoothed+jensen" / "seed-0"
        while not (folder / "metrics.jsonl").exists() or not (folder / "metrics.jsonl").read_text():
            assert process.poll() is None, (tmp_path / "out").read_text()
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.wait()
    said = (tmp_path / "out").read_text()
    assert f"interrupted; the checkpoint is in {folder}" in said
    assert said.count("views: ") == 1
    assert (folder / "checkpoint.pt").exists()
    assert not (folder / "results.json").exists()


@pytest.mark.parametrize("by_image", [False, True])
def test_a_part_of_a_batch_draws_what_it_would_in_the_whole(by_image: bool) -> None:
    """Of 3 values an image, which share words of four with their neighbours."""
    K, B, start, stop = 2, 7, 2, 5
    whole, part = Dropout(0.5, by_image=by_image), Dropout(0.5, by_image=by_image)
    draw_part(part, Part(start, stop, B))
    for _ in range(2):
        expected = whole(torch.ones(K * B, 3)).unflatten(0, (K, B))[:, start:stop].flatten(0, 1)
        assert torch.equal(part(torch.ones(K * (stop - start), 3)), expected)


def test_parts_cover_all_and_differ_by_one_at_the_most() -> None:
    for total in (128, 7, 2):
        parts = [Processes(rank, 3).part(total) for rank in range(3)]
        assert [i for part in parts for i in range(total)[part]] == [*range(total)]
        lengths = [part.stop - part.start for part in parts]
        assert max(lengths) - min(lengths) <= 1


def test_a_step_of_fewer_images_than_processes_and_gpus_that_are_not_there_are_refused() -> None:
    network = nn.Linear(1, 1)
    with pytest.raises(InputError, match="expected an image of a step for each of 3 processes, got 2"):
        step.share_steps(network, tiny.run(), 2, Processes(0, 3))
    with pytest.raises(InputError, match="expected cuda, as each of 3 processes takes its own, got cuda:1"):
        check_device(Processes(0, 3, 3), torch.device("cuda:1"))
    with pytest.raises(InputError, match="expected a GPU for each of the 1000 processes on this machine, got"):
        check_device(Processes(0, 1000, 1000), torch.device("cuda"))
    check_device(ONE, torch.device("cuda:1"))


@pytest.mark.parametrize(
    ("driver", "listed", "there", "seen", "counted"),
    [
        (2, None, 2, "1", 2),
        (2, "5,GPU-a", 2, "GPU-a", 2),
        (1, None, 1, None, 1),
        (-1, "5, GPU-a", 1, "GPU-a", 2),
        (-1, None, 1, "1", 2),
        (-1, None, 0, "1", 0),
        (-1, "5", 1, "5", 1),
    ],
)
def test_the_second_process_sees_its_own_gpu_before_cuda_reads_the_list(
    driver: int, listed: str | None, there: int, seen: str | None, counted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`there`: GPUs that CUDA counts, which it must not be asked before the list is this process's."""
    asked: list[str | None] = []

    def count() -> int:
        asked.append(os.environ.get("CUDA_VISIBLE_DEVICES"))
        return there

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # so that it is put back
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    monkeypatch.setattr(processes_module, "_counted_by_driver", lambda: driver)
    monkeypatch.setattr("torch.cuda.device_count", count)
    assert processes_module._own_gpu(1, 2) == counted
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == seen
    assert asked == ([seen] if driver < 0 else [])


def test_a_batch_norm_of_unknown_arithmetic_is_refused() -> None:
    class Own(nn.BatchNorm2d):
        pass

    network = nn.Sequential(nn.Conv2d(1, 1, 1), Own(1))
    with pytest.raises(InputError, match="expected batch norms of torch, got Own at '1'"):
        step.share_steps(network, tiny.run(), 4, Processes(0, 2))

"""Training: what it learns, that it repeats itself bit for bit, how it stops and goes on."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn.functional import cross_entropy

from auglik import InputError, load_training, open_dataset, train
from auglik.optimization.torch_optimizers import INSTEAD, classes
from auglik.runs import checkpoint as checkpoints
from auglik.runs.loop import Loop, NonFiniteLossError, learning_rate, lengths
from auglik.runs.run import execute, find_checkpoint
from auglik.runs.step import begin, make_network, parts_of, rendered_parts, take_step
from auglik.runs.training import Trained, view_counts
from auglik.system.keys import host_generator
from auglik.system.stop import Interrupted
from tests import tiny


def trained(folder: Path, **changes: object) -> Trained:
    run = tiny.run(**changes)
    folder.mkdir(exist_ok=True)
    return train(run, load_training(run, open_dataset("digits")), "hash", folder)


def weights(run: Trained) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in run.network.state_dict().values()])


def test_the_trainer_overfits_one_batch(tmp_path: Path) -> None:
    run = trained(
        tmp_path, train_images=32, validation_fraction=0.0, epochs=150, views=1, augment="none", mollify="none",
        likelihood="categorical", network="small-cnn", weight_decay=0.0,
    )  # fmt: skip
    assert run.last_epoch["loss"] < 0.01


def test_the_same_seed_gives_the_same_weights_and_another_others(tmp_path: Path) -> None:
    first, second = trained(tmp_path / "a"), trained(tmp_path / "b")
    assert torch.equal(weights(first), weights(second))
    assert (tmp_path / "a" / "metrics.jsonl").read_bytes() == (tmp_path / "b" / "metrics.jsonl").read_bytes()
    assert not torch.equal(weights(first), weights(trained(tmp_path / "c", seed=1)))


def test_the_loss_of_an_epoch_is_the_mean_over_its_steps(tmp_path: Path) -> None:
    """A rate of 1e-12 leaves the initial network, whose loss on every batch is computed again by its definition."""
    run = tiny.run(learning_rate=1e-12, weight_decay=0.0, views=1, augment="none", mollify="none")
    data = load_training(run, open_dataset("digits"))
    train(run, data, "hash", tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    gallery, labels = data.training
    B, steps, _, _ = lengths(run, len(labels))
    network = make_network(run, gallery.channels, data.classes).train()
    for epoch, line in enumerate(lines):
        order = host_generator(run.config.seed, "batches", epoch).permutation(len(labels))
        batches = [torch.from_numpy(order[step * B : (step + 1) * B]) for step in range(steps)]
        with torch.no_grad():
            losses = [float(cross_entropy(network(gallery.clean(batch)), labels[batch])) for batch in batches]
        assert len(losses) > 2
        assert line["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


EVERYTHING = {
    "optimizer": "adamw:betas=0.9/0.99", "rate_schedule": "one-cycle", "gradient_clip": 0.5, "average": 0.9,
    "budget": "views",
}  # fmt: skip
MANY_AUGMENTATIONS = {
    "augment": "fcr,trivial-augment,random-erasing:background=pixel",
    "soften": "all:smoothed",
    "soften_into": "both",
}
ADAPTED = {"aggregator": "durbin-koopman", "views": 4, "mean_views": 3.0, "proposal": "responsibilities"}


@pytest.mark.parametrize(
    ("looks", "changes"),
    [
        *((looks, ADAPTED) for looks in (4, 7)),  # between two passes, and within the second
        *((looks, {}) for looks in (0, 3, 5, 7, 10)),
        (7, {"online_labels": 0.5}),
        (7, {"degrade_toward": "online", "online_labels": 0.5}),
        (7, {"augment": "cutmix,fcr,augmix"}),
        (4, MANY_AUGMENTATIONS),
        (3, EVERYTHING),
        (7, EVERYTHING),
        *((4, {"optimizer": f"torch:{name}"}) for name in sorted(classes().keys() - INSTEAD.keys())),
    ],
    ids=str,
)
def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one(
    tmp_path: Path, looks: int, changes: dict[str, object]
) -> None:
    whole = tiny.job(tmp_path / "whole", **changes)
    broken = tiny.job(tmp_path / "broken", **changes)
    expected = execute(whole)
    with pytest.raises(Interrupted):
        execute(broken, stop=tiny.StopAt(looks))
    assert find_checkpoint(broken) is not None
    assert not (broken.folder / "results.json").exists()
    results = execute(broken)
    assert tiny.without_times(results) == tiny.without_times(expected)
    for name in ("metrics.jsonl", "predictions.npz", "config.toml"):
        assert (broken.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name
    ended = [checkpoints.load(job.folder / checkpoints.NAME, job.settings) for job in (whole, broken)]
    assert ended[0].network.keys() == ended[1].network.keys()
    assert all(torch.equal(ended[0].scored()[key], ended[1].scored()[key]) for key in ended[0].network)
    assert all(torch.equal(ended[0].network[key], ended[1].network[key]) for key in ended[0].network)


def test_a_line_that_a_killed_run_wrote_after_its_checkpoint_is_dropped(tmp_path: Path) -> None:
    broken = tiny.job(tmp_path / "broken")
    with pytest.raises(Interrupted):
        execute(broken, stop=tiny.StopAt(5))
    with (broken.folder / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 1, "from": "the future"}\n{"epo')
    execute(broken)
    lines = [json.loads(line) for line in (broken.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert all("from" not in line for line in lines)


def test_runs_of_one_seed_see_the_same_views_and_k2_a_prefix_of_k4(tmp_path: Path) -> None:
    reference = trained(tmp_path / "a")
    other = trained(tmp_path / "b", likelihood="smoothed-normalized", aggregator="log-mean")
    wider = trained(tmp_path / "c", views=4)
    assert reference.digests == other.digests
    assert wider.digests[:3] == reference.digests
    assert len(wider.digests) == 5
    larger = trained(tmp_path / "e", batch_size=64)
    assert larger.digests[0] != reference.digests[0]  # other images come together, in one order
    assert larger.digests[1:] == reference.digests[1:]
    assert not set(trained(tmp_path / "d", seed=1).digests) & set(reference.digests)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"likelihood": "smoothed", "aggregator": "jensen"}, {"likelihood": "dirichlet", "aggregator": "jensen"}),
        ({"likelihood": "smoothed", "aggregator": "jensen"}, {"likelihood": "smoothed", "aggregator": "geometric"}),
        ({"aggregator": "log-mean"}, {"aggregator": "power-mean:rho=1"}),
        ({"aggregator": "log-mean", "views": 1}, {"aggregator": "jensen", "views": 1}),
    ],
)
def test_objectives_with_one_gradient_train_alike(
    tmp_path: Path, one: dict[str, object], other: dict[str, object]
) -> None:
    first, second = trained(tmp_path / "a", **one), trained(tmp_path / "b", **other)
    torch.testing.assert_close(weights(first), weights(second), rtol=1e-4, atol=1e-5)


def test_a_sink_leaves_the_initial_weights_of_the_classes_alone() -> None:
    plain, sink = (make_network(tiny.run(likelihood=name), 1, 10) for name in ("smoothed", "sink"))
    for (name, values), others in zip(plain.named_parameters(), sink.parameters(), strict=True):
        assert torch.equal(values, others[: len(values)]), name
    assert sink.get_parameter("head.weight").shape[0] == 11


def test_budgets_take_the_same_steps() -> None:
    images, views = (tiny.run(batch_size=64, budget=name, views=4) for name in ("images", "views"))
    assert lengths(images, 180) == (64, 2, 2, 4)
    assert lengths(views, 180) == (16, 11, 2, 4)
    assert lengths(images.change(batch_size=500), 180) == (180, 1, 1, 2)


def test_the_view_budget_trains_on_a_share_of_the_images(tmp_path: Path) -> None:
    run = trained(tmp_path, budget="views")
    assert np.isfinite(run.last_epoch["loss"])


def test_the_learning_rate_falls_to_zero_after_its_warm_up() -> None:
    run = tiny.run(learning_rate=2.0, warmup=0.0)
    rates = [learning_rate(run, step, 100) for step in range(101)]
    assert (rates[0], rates[50], rates[100]) == pytest.approx((2, 1, 0))
    assert rates == sorted(rates, reverse=True)
    warmed = [learning_rate(tiny.run(learning_rate=2.0, warmup=0.2), step, 100) for step in range(101)]
    assert warmed[:21] == pytest.approx([2 * (step + 1) / 21 for step in range(21)])
    assert warmed[20:] == sorted(warmed[20:], reverse=True)
    assert warmed[100] == pytest.approx(0)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    job = tiny.job(tmp_path / "run", learning_rate=1e30, epochs=3)
    with pytest.raises(Interrupted):
        execute(tiny.job(tmp_path / "run", learning_rate=1e30, epochs=3), stop=tiny.StopAt(0))
    before = (job.folder / checkpoints.NAME).read_bytes()
    with pytest.raises(NonFiniteLossError) as caught:
        execute(job)
    message = str(caught.value)
    for part in ("at step ", "smoothed + jensen", "clean ", "temperature ", "decay ", "checkpoint is kept"):
        assert part in message
    assert (job.folder / checkpoints.NAME).read_bytes() == before
    assert not (job.folder / "results.json").exists()


@pytest.mark.parametrize("bad", [(0,), (7, 9), (19,), (24, 29), (39,)])
def test_the_first_loss_that_is_not_finite_is_told(tmp_path: Path, bad: tuple[int, ...]) -> None:
    run = tiny.run(train_images=320, batch_size=8, epochs=1, validation_fraction=0.0)
    data = load_training(run, open_dataset("digits"))
    network = make_network(run, 1, 10)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    loop = Loop(run, data, network, optimizer, ("loss",), 1, settings="", folder=tmp_path, resume=None, stop=None)
    assert loop.lengths.steps == 40
    found: set[int | None] = set()
    for step in range(40):
        loop.add_loss(step, torch.tensor(np.inf if step in bad else 1.0))
        if loop.look_due(step + 1) and not found:
            found = {loop.bad_step()} - {None}
    assert found == {bad[0]}


def test_metrics_tell_the_label_entropy_and_the_negative_share(tmp_path: Path) -> None:
    trained(tmp_path / "jensen")
    trained(tmp_path / "corrected", aggregator="durbin-koopman", likelihood="categorical", learning_rate=0.3, epochs=8)
    jensen, corrected = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("jensen", "corrected")
    )
    assert all(line["negative_share"] == 0 for line in jensen)
    assert any(line["negative_share"] > 0 for line in corrected)
    assert all(0 < line["label_entropy"] < np.log(10) for line in jensen)
    assert [line["step"] for line in jensen] == [5, 10]
    assert all(line["label_entropy"] == 0 for line in corrected)  # hard labels, however decayed their views


def test_fixed_smoothing_counts_into_the_label_entropy(tmp_path: Path) -> None:
    trained(tmp_path, likelihood="label-smoothing:epsilon=0.2", mollify="none", epochs=1)
    line = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert line["label_entropy"] == pytest.approx(stats.entropy([0.82, *[0.02] * 9]), rel=1e-6)


def test_weights_that_are_broadcast_count_for_their_mean_alone(tmp_path: Path) -> None:
    """With one view, as published: a constant factor of the loss, which the views' own weights are not."""
    soft = {"augment": "fcr,soft-crop", "soften": "crop:polynomial", "soften_into": "weight", "views": 1}
    own = trained(tmp_path / "own", **soft)
    broadcast = trained(tmp_path / "broadcast", broadcast_weights=True, **soft)
    none = trained(tmp_path / "none", **{**soft, "soften": "none"})
    one_batch = {"train_images": 36, "epochs": 1, "momentum": 0.0, "weight_decay": 0.0}
    start, of_mean, plain = (
        weights(
            trained(tmp_path / name, learning_rate=rate, broadcast_weights=True, **{**soft, **changes}, **one_batch)
        )
        for name, rate, changes in (("a", 1e-30, {}), ("b", 0.1, {}), ("c", 0.1, {"soften": "none"}))
    )
    share = ((of_mean - start) @ (plain - start)) / (plain - start).square().sum()
    torch.testing.assert_close(of_mean - start, share * (plain - start), rtol=1e-4, atol=1e-6)
    assert 0.3 < share < 0.95
    assert len({tuple(weights(run).tolist()) for run in (own, broadcast, none)}) == 3


def test_weights_that_are_broadcast_are_the_mean_of_the_step_whatever_its_numbers_of_views() -> None:
    run = tiny.run(
        views=4, train_images=70, epochs=1, batch_size=64, augment="fcr,soft-crop", soften="crop:polynomial",
        soften_into="weight", broadcast_weights=True,
    )  # fmt: skip
    data = load_training(run, open_dataset("digits"))
    counts = np.resize([1, 4, 2], len(data.training.labels))
    learner = begin(run, data)
    draws = learner.pipeline.draw(run.config.seed, 0, 4, len(counts), torch.device("cpu"))
    rendered = rendered_parts(learner, data, parts_of(draws, np.arange(len(counts)), counts))
    own = torch.cat([views.weight.flatten() for views in rendered if views.weight is not None])
    assert len(rendered) > 1
    assert own.std() > 0.01
    taken = take_step(learner, run, data, rendered, None, 0.0)
    for part in taken.arguments:
        assert part.weight is not None
        torch.testing.assert_close(part.weight, own.mean().expand_as(part.weight))


def test_online_labels_start_uniform_and_then_move_the_loss(tmp_path: Path) -> None:
    """In the first epoch they are label smoothing; what the network said moves the second."""
    first = {"mollify": "none", "epochs": 1, "online_labels": 0.9}
    online = weights(trained(tmp_path / "online", **first))
    smoothed = weights(trained(tmp_path / "smoothed", mollify="none", epochs=1, likelihood="label-smoothing"))
    torch.testing.assert_close(online, smoothed, rtol=1e-4, atol=1e-5)
    later = {"mollify": "none", "epochs": 8, "learning_rate": 0.3}
    online = weights(trained(tmp_path / "online later", **later, online_labels=0.9))
    smoothed = weights(trained(tmp_path / "smoothed later", **later, likelihood="label-smoothing"))
    assert not torch.allclose(online, smoothed, atol=1e-3)


def corrupt(path: Path, kind: str) -> None:
    data = bytearray(path.read_bytes())
    if kind == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif kind == "flipped":
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "pickle":
        torch.save({"format": object()}, path)
    elif kind == "other version":
        payload = torch.load(path, weights_only=True)
        torch.save({**payload, "format": 99}, path)
    elif kind == "incomplete":
        payload = torch.load(path, weights_only=True)
        del payload["optimizer"]
        torch.save(payload, path)


@pytest.mark.parametrize("kind", ["truncated", "flipped", "empty", "pickle", "other version", "incomplete"])
def test_a_checkpoint_that_cannot_be_used_is_one_line_and_stays(tmp_path: Path, kind: str) -> None:
    job = tiny.job(tmp_path / "run")
    with pytest.raises(Interrupted):
        execute(job, stop=tiny.StopAt(5))
    path = job.folder / checkpoints.NAME
    corrupt(path, kind)
    before = path.read_bytes()
    with pytest.raises(InputError) as caught:
        execute(job)
    assert "\n" not in str(caught.value)
    assert checkpoints.NAME in str(caught.value)
    assert path.read_bytes() == before


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        execute(tiny.job(tmp_path / "run"), stop=tiny.StopAt(5))
    with pytest.raises(InputError, match="other settings or other data"):
        execute(tiny.job(tmp_path / "run", learning_rate=0.01))


def test_precision_bf16_trains_on_a_cpu(tmp_path: Path) -> None:
    run = trained(tmp_path, precision="bf16")
    assert np.isfinite(run.last_epoch["loss"])
    assert all(value.dtype == torch.float32 for value in run.network.parameters())


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's tracer looks at it itself
def test_a_compiled_run_learns_what_an_eager_one_does(tmp_path: Path) -> None:
    """With a seed under which the difference of rounding stays one: in these steps it grows to 0.01 under others."""
    eager, compiled = trained(tmp_path / "a", seed=1), trained(tmp_path / "b", seed=1, compile=True)
    assert eager.digests == compiled.digests
    torch.testing.assert_close(weights(eager), weights(compiled), rtol=1e-3, atol=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_trains_in_bf16(tmp_path: Path) -> None:
    run = tiny.run(device="cuda", precision="auto")
    assert run.precision == "mixed"
    ended = train(run, load_training(run, open_dataset("digits")), "hash", tmp_path)
    assert np.isfinite(ended.last_epoch["loss"])


# A number of views that is drawn


def test_images_of_several_numbers_of_views_share_a_step(tmp_path: Path) -> None:
    """The loss of an untrained network under batch norms at rest is that of each image's own first views."""
    run = tiny.run(
        aggregator="multilevel", views=4, learning_rate=1e-12, weight_decay=0.0, batch_size=64, train_images=70,
        validation_fraction=0.0, network="all-conv", epochs=1,
    )  # fmt: skip
    data = load_training(run, open_dataset("digits"))
    gallery, labels = data.training
    device = torch.device("cpu")
    counts = view_counts(run, 0, len(labels))
    assert counts is not None
    assert set(np.unique(counts)) == {1, 2, 4}
    learner = begin(run, data)
    draws = learner.pipeline.draw(run.config.seed, 0, 4, len(labels), device)
    batch = np.arange(len(labels))
    learner.network.eval()
    rendered = rendered_parts(learner, data, parts_of(draws, batch, counts))
    taken = take_step(learner, run, data, rendered, None, 0.0)
    views = learner.pipeline.render(gallery, draws, batch)
    values = []
    for image, K in enumerate(counts):
        logits = learner.network(views.images[:K, image])[:, None]
        decay = views.decay[:K, image, None]
        values.append(run.objective.log_likelihood(logits, decay, labels[image, None]).item())
    assert float(taken.loss) == pytest.approx(-np.mean(values), rel=1e-5)
    assert sum(part.logits.shape[0] * part.logits.shape[1] for part in taken.arguments) == counts.sum()


def test_runs_of_a_drawn_number_of_views_repeat_and_resume(tmp_path: Path) -> None:
    changes: dict[str, object] = {"aggregator": "sumo", "views": 4, "gradient_clip": 1.0}
    first, second = trained(tmp_path / "a", **changes), trained(tmp_path / "b", **changes)
    assert torch.equal(weights(first), weights(second))
    assert first.digests == trained(tmp_path / "c", views=4).digests


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"aggregator": "multilevel", "views": 6}, "draws at most 4 of 6 views; expected 4 or 8"),
        ({"aggregator": "sumo", "soften": "crop:polynomial", "soften_into": "both"}, "needs views of equal weight"),
        ({"aggregator": "sumo", "compile": True}, "compiled code is for one shape"),
        ({"aggregator": "multilevel:power=2"}, "the variance would be infinite"),
    ],
)
def test_refused_settings_of_a_drawn_number_of_views(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        tiny.run(**changes)
    assert "\n" not in str(refusal.value)


def test_batch_norm_of_an_average_is_measured_on_views_in_float32(tmp_path: Path) -> None:
    """Under autocast a blur would be of bfloat16, whatever the precision of the network."""
    run = tiny.run(precision="bf16", average=0.9, epochs=1, mollify="blur")
    ended = train(run, load_training(run, open_dataset("digits")), "hash", tmp_path)
    assert np.isfinite(ended.last_epoch["validation_nll"])

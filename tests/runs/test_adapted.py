"""Views that follow earlier views: what follows what, when, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from auglik import InputError, load_training, open_dataset
from auglik.experiments.cells import remarks
from auglik.objectives.view_counts import relative_variance
from auglik.runs.adapted import Adapted
from auglik.runs.step import begin, parts_of, rendered_parts, take_step
from auglik.runs.training import label_statistics
from auglik.scoring.label_entropy import mean_label_entropy
from auglik.system.keys import host_generator
from auglik.views import Pipeline, Shape
from auglik.views.allocation import shared_out
from auglik.views.proposal import BINS, DEFENSIVE
from tests import tiny
from tests.runs.test_training import trained, weights

CPU = torch.device("cpu")
BOTH: dict[str, object] = {
    "aggregator": "log-mean", "views": 8, "mean_views": 4.0, "proposal": "responsibilities", "train_images": 60,
}  # fmt: skip


def test_a_step_takes_the_importance_of_its_views_and_adapts_what_comes_next() -> None:
    """The step's loss, and what the proposal counts and the spreads, from the definition in NumPy."""
    run = tiny.run(**BOTH, likelihood="categorical")
    data = load_training(run, open_dataset("digits"))
    learner, labels = begin(run, data), data.training.labels
    N, adapted = len(labels), Adapted(run, len(labels))
    assert adapted.proposal is not None
    before = adapted.proposal = adapted.proposal.following(np.random.default_rng(0).random(4 * BINS))
    draws = learner.pipeline.draw(0, 1, 8, N, CPU, proposal=before)
    assert adapted.counts is not None
    counts, batch = adapted.counts, np.arange(20)
    parts = parts_of(draws, batch, counts)
    learner.network.eval()
    taken = take_step(learner, run, data, rendered_parts(learner, data, parts), None, 0.0)
    adapted.update(learner.objective, taken, parts)
    assert adapted.proposal is before  # nothing follows a view of the pass under way
    assert adapted.counts is counts
    assert draws.log_importance is not None
    assert draws.cell is not None

    sums, losses = np.zeros(4 * BINS), []
    for part, arguments in zip(parts, taken.arguments, strict=True):
        K = len(part.draws.role)
        log_p = arguments.logits.double().log_softmax(-1).detach().numpy()
        p = np.take_along_axis(np.exp(log_p), labels.numpy()[part.images][None, :, None], 2)[..., 0]
        weighted = p * np.exp(draws.log_importance[:K, part.images])
        shares = weighted / weighted.sum(0)
        np.add.at(sums, draws.cell[:K, part.images], shares)
        losses += [*-np.log(weighted.mean(0))]
        spread = weighted.var(0, ddof=1) / weighted.mean(0) ** 2
        np.testing.assert_allclose(adapted.state()["spread"].numpy()[part.images], spread, rtol=1e-3, atol=1e-6)
    assert float(taken.loss) == pytest.approx(np.mean(losses), rel=1e-5)
    np.testing.assert_allclose(adapted.state()["sums"].numpy(), sums, rtol=1e-4, atol=1e-7)
    assert not adapted.state()["passes"].numpy()[20:].any()
    once = adapted.state()["spread"].numpy().copy()

    adapted.advance(2)
    assert adapted.proposal.masses[BINS] == pytest.approx(  # the first bin of noise: a third of the views have the role
        DEFENSIVE / 3 / BINS + (1 - DEFENSIVE) * sums[BINS] / sums.sum(), rel=1e-4
    )
    found = adapted.counts
    assert found.mean() == pytest.approx(4, abs=8 / N)
    ties = host_generator(run.config.seed, "view counts", 2).random(N)
    toward_mean = np.where(np.arange(N) < 20, (4 * once[:20].mean() + once) / 5, once[:20].mean())
    np.testing.assert_array_equal(found, shared_out(toward_mean, 2, 8, 4.0, ties))


def test_relative_variance_is_that_of_the_likelihoods(rng: np.random.Generator) -> None:
    p = rng.random((5, 40))
    expected = p.var(0, ddof=1) / p.mean(0) ** 2
    found = relative_variance(torch.from_numpy(p / p.sum(0)))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    assert float(relative_variance(torch.tensor([[1.0], [0.0], [0.0]]))) == pytest.approx(3)


def test_runs_repeat_and_share_with_others_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches always; views in the first pass; later under numbers of views alone, not from a proposal."""
    proposals, draw = list[object](), Pipeline.draw

    def listened(*arguments: object, **named: object) -> object:
        proposals.append(named.get("proposal"))
        return draw(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Pipeline, "draw", listened)
    both, again = trained(tmp_path / "a", **BOTH), trained(tmp_path / "b", **BOTH)
    assert torch.equal(weights(both), weights(again))
    assert both.digests == again.digests
    firsts = [proposal for proposal in proposals if proposal is not None][:2]
    assert firsts[0].is_own()  # type: ignore[attr-defined]
    assert not firsts[1].is_own()  # type: ignore[attr-defined]
    plain = trained(tmp_path / "c", **{**BOTH, "proposal": "none", "mean_views": None})
    counted = trained(tmp_path / "d", **{**BOTH, "proposal": "none"})
    assert counted.digests == plain.digests
    assert not torch.equal(weights(counted), weights(plain))
    assert both.digests[0] == plain.digests[0]
    assert set(both.digests[1:]).isdisjoint(plain.digests[1:])
    short = {**BOTH, "epochs": 1}
    once = trained(tmp_path / "e", **short)
    assert once.digests == trained(tmp_path / "f", **{**short, "proposal": "none"}).digests


def test_the_label_entropy_is_that_of_the_own_distribution() -> None:
    """Of views from a proposal that prefers clean ones, weighted: within 4 standard errors of that of plain views."""
    run = tiny.run(**BOTH)
    adapted = Adapted(run, 4000)
    assert adapted.proposal is not None
    counted = np.zeros(4 * BINS)
    counted[0], counted[BINS] = 3, 1
    pipeline = run.training_views.pipeline(Shape(1, 8, 8))
    labels = torch.zeros(4000, dtype=torch.int64)
    plain = pipeline.draw(0, 1, 2, 4000, CPU)
    moved = pipeline.draw(0, 1, 2, 4000, CPU, proposal=adapted.proposal.following(counted))
    one, other = (
        label_statistics(draws, labels, 10, run.objective.likelihood)["label_entropy"] for draws in (plain, moved)
    )
    assert one == pytest.approx(other, abs=4 * 1.0 / np.sqrt(2 * 4000) * 2)
    assert mean_label_entropy(moved.decay, 10) < one - 0.2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"aggregator": "jensen"}, "proposal: expected an aggregator of likelihoods, such as log-mean, got jensen"),
        ({"aggregator": "geometric-normalized"}, "it counts all views alike"),
        ({"aggregator": "sumo"}, "proposal: expected an aggregator of a given number of views, got sumo"),
        ({"aggregator": "jensen", "proposal": "none"}, "mean_views: expected an aggregator of likelihoods"),
        ({"inference": "sghmc"}, "expected none for a chain"),
        ({"views": 1, "mean_views": None}, "expected at least 2 views, got 1"),
        ({"mollify": "none"}, "proposal: expected views that are mollified"),
        ({"online_labels": 0.5}, "proposal: expected none with online_labels"),
        ({"compile": True, "proposal": "none"}, "mean_views: expected none with compile"),
        ({"budget": "views"}, "expected none with budget views"),
        ({"mean_views": 1.5}, "mean_views: expected a number >= 2, got 1.5"),
        ({"mean_views": 9.0}, "mean_views: expected 2 to 8, the most of an image, got 9"),
        ({"views": 6}, "expected 4 or 8 as --views, 2 doubled some times, got 6"),
        ({"proposal": "responsibilites"}, "expected none or responsibilities, got 'responsibilites'; did you mean"),
    ],
)
def test_what_does_not_go_together_is_one_line(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as refusal:
        tiny.run(**{**BOTH, **changes})
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_reader_is_told() -> None:
    said = " ".join(remarks(tiny.config(**BOTH)))
    assert "these are not the views of any other cell" in said
    assert "an image has 4 views on average" in said
    run = tiny.run(**BOTH)
    assert run.mean_views() == 4
    assert "the first 2 to 8 of these by image, 4 on average" in run.training_views.pipeline(Shape(1, 8, 8)).describe()
    assert "roles and t from a proposal" in run.training_views.pipeline(Shape(1, 8, 8)).describe()
    assert tiny.run(aggregator="sumo", views=4).mean_views() == pytest.approx(1 + 1 / 2 + 1 / 3 + 1 / 4)
    assert tiny.run().mean_views() == 2
    assert not remarks(tiny.config())


def test_a_checkpoint_of_other_images_is_refused() -> None:
    run = tiny.run(**BOTH)
    with pytest.raises(InputError, match=r"the checkpoint's counts: expected \[50\], got \[40\]"):
        Adapted(run, 50).restore(Adapted(run, 40).state())

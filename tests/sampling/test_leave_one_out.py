"""Leaving out against ArviZ and exact posteriors; densities of a chain's draws against the training step's loss."""

import re
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from arviz_stats.base import array_stats  # type: ignore[attr-defined]
from click.testing import CliRunner
from scipy.special import logsumexp
from scipy.stats import norm  # type: ignore[attr-defined]

from auglik import InputError, open_dataset
from auglik.cli.main import auglik
from auglik.experiments.plan import collect as ended
from auglik.objectives import Objective
from auglik.report.collect import collect
from auglik.report.content import Table
from auglik.report.keep import keep
from auglik.report.sections.sampled import examined, images_left_out, sampled, sampling_warnings
from auglik.runs import checkpoint as checkpoints
from auglik.runs.densities import check_left_out, densities
from auglik.runs.resolve import initial_network, load_training, training_pipeline
from auglik.runs.run import execute
from auglik.sampling.files import ChainFile, Densities, load_densities
from auglik.sampling.leave_one_out import LeftOut, leave_out
from auglik.system.array_types import Float64Array
from tests import tiny
from tests.sampling.test_chains import CHAIN

N, SCALE = 12, 2.0


def conjugate(data: Float64Array, T: float, L: float) -> tuple[float, float]:
    """Mean and standard deviation of exp(-U/T), U = sum (x - theta)^2 / (2 L) + theta^2 / (2 SCALE^2)."""
    precision = len(data) / L + 1 / SCALE**2
    return float(data.sum() / L / precision), float(np.sqrt(T / precision))


def of_mean(T: float, L: float, draws: int = 4000) -> tuple[LeftOut, Float64Array]:
    """The mean theta of N(theta, 1) data under N(0, SCALE^2), two chains of independent draws; and the data."""
    generator = np.random.default_rng(2)
    data = generator.normal(size=N)
    mean, deviation = conjugate(data, T, L)
    chains, files = [], []
    for _ in range(2):
        theta = generator.normal(mean, deviation, draws)
        chains.append(Densities(norm.logpdf(data, theta[:, None]), norm.logpdf(theta, scale=SCALE)))
        files.append(ChainFile(norm.logpdf([0.5], theta[:, None]).astype("f"), np.ones((1, 2), np.float32)))
    return leave_out(chains, files, T=T, likelihood_temperature=L), data


@pytest.mark.parametrize(("T", "L"), [(1.0, 1.0), (0.5, 1.0), (0.5, 0.5), (2.0, 1.0)])
def test_leaving_out_is_the_posterior_without_the_image_at_any_temperature(T: float, L: float) -> None:
    found, data = of_mean(T, L)
    exact = []
    for image in range(N):
        mean, deviation = conjugate(np.delete(data, image), T, L)
        exact.append(norm.logpdf(data[image], mean, np.hypot(1, deviation)))
    assert found.elpd == pytest.approx(np.mean(exact), abs=0.01)
    assert found.error == pytest.approx(np.std(exact, ddof=1) / np.sqrt(N), rel=0.1)
    assert found.optimism > 0
    assert found.failures() == []


def test_at_one_it_is_arviz_s() -> None:
    generator = np.random.default_rng(0)
    log_p = generator.normal(-1, 0.3, (2, 100, N))
    chains = [Densities(values, values.sum(1)) for values in log_p]
    file = ChainFile(generator.normal(size=(100, 5)).astype("f"), np.ones((1, 2), np.float32))
    found = leave_out(chains, [file, file], T=1.0, likelihood_temperature=1.0)
    elpd, k, _ = array_stats.loo(log_p, chain_axis=0, draw_axis=1)
    assert found.elpd == pytest.approx(elpd.mean())
    np.testing.assert_allclose(found.k, k)


def test_power_scaling_is_arviz_s() -> None:
    """Whose weights are smoothed."""
    found, data = of_mean(1.0, 1.0)
    generator = np.random.default_rng(2)
    generator.normal(size=N)
    mean, deviation = conjugate(data, 1.0, 1.0)
    theta = np.stack([generator.normal(mean, deviation, 4000) for _ in range(2)])
    total = norm.logpdf(data[:, None, None], theta).sum(0)
    weights = (np.exp(array_stats.power_scale_lw(total, alpha=alpha, axis=(0, 1))) for alpha in (0.99, 1.01))
    lower, upper = (values.reshape(total.shape) for values in weights)
    exact = array_stats.power_scale_sense(norm.logpdf(0.5, theta), lower, upper, 0.99, 1.01, chain_axis=0, draw_axis=1)
    assert found.likelihood == pytest.approx(float(exact), rel=0.02)


def test_images_that_decide_alone_fail() -> None:
    values = 30 * np.random.default_rng(0).normal(size=(1, 60, N))
    file = ChainFile(np.zeros((60, 5), np.float32), np.ones((1, 2), np.float32))
    found = leave_out([Densities(values[0], values[0, :, 0])], [file], T=1.0, likelihood_temperature=1.0)
    assert found.failures()[0].startswith(
        "PSIS-LOO is not reliable: Pareto k over 0.44 for 100.0% of the training images (over 0.7 for 100.0%): 60 draws"
    )


def of_log_p(log_p: Float64Array, T: float = 1.0, tested: Float64Array | None = None) -> LeftOut:
    """One chain of draws [S,N], whose prior is a tenth of its likelihood, and what it says of test images [S,M]."""
    tested = log_p[:, :5] if tested is None else tested
    file = ChainFile(tested.astype("f"), np.ones((1, 2), np.float32))
    return leave_out([Densities(log_p, log_p.sum(1) / 10)], [file], T=T, likelihood_temperature=1.0)


def drawn(draws: int) -> Float64Array:
    return np.random.default_rng(0).normal(-2, 0.5, (draws, N))


@pytest.mark.parametrize("draws", [80, 300])
def test_weights_whose_tail_underflows_are_plain_and_not_reliable(draws: int) -> None:
    log_p = drawn(draws)
    found = of_log_p(log_p, 1e-4)
    assert np.isposinf(found.k).all()
    assert found.elpd == pytest.approx(float((logsumexp(log_p * (1 - 1e4), 0) - logsumexp(-log_p * 1e4, 0)).mean()))
    assert "for 100.0% of the training images" in found.failures()[0]


@pytest.mark.parametrize("T", 10.0 ** np.arange(-5, 1, 0.5))
def test_weights_of_hardly_a_draw_are_never_called_reliable(T: float) -> None:
    log_p = drawn(80)
    weights = np.exp(-log_p / T - logsumexp(-log_p / T, 0))
    found = of_log_p(log_p, T)
    assert (found.k[1 / (weights**2).sum(0) < 1.5] > 0.7).all()
    assert np.isfinite(found.elpd)


@pytest.mark.parametrize(("other", "k"), [(0.0, -np.inf), (-0.5, -np.inf), (-3.0, np.inf)])
def test_an_image_that_draws_are_sure_of_is_weighed_without_a_tail(other: float, k: float) -> None:
    """In all draws, so that no weight differs, and in all but one, whose weight is little or much larger."""
    log_p = drawn(80)
    log_p[:, 0] = 0.0
    log_p[7, 0] = other
    found, rest = of_log_p(log_p), of_log_p(log_p[:, 1:], tested=log_p[:, :5])
    assert found.k[0] == k
    np.testing.assert_array_equal(found.k[1:], rest.k)
    of_image = logsumexp(np.zeros(80)) - logsumexp(-log_p[:, 0])
    assert found.elpd == pytest.approx((of_image + rest.elpd * (N - 1)) / N)


def test_a_chain_that_stands_still_may_be_all_of_the_tail() -> None:
    """One of five, whose draws give an image its lowest probability."""
    log_p = drawn(100)
    log_p[:20, 0], log_p[20:, 0] = -50.0, -20 * np.random.default_rng(0).random(80)
    found = of_log_p(log_p)
    assert found.k[0] == np.inf
    assert np.isfinite(found.elpd)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_numbers_that_are_missing_fail(value: float) -> None:
    log_p = drawn(80)
    log_p[3, 2] = value
    found = of_log_p(log_p)
    assert found.failures()[0].startswith("PSIS-LOO cannot be measured: ")
    tested = of_log_p(drawn(80), tested=log_p).failures()
    assert tested[-1].startswith("power-scaling sensitivity cannot be measured: ")


def test_power_scaling_takes_densities_that_differ_by_any_number_of_nats() -> None:
    """ArviZ's own weights are normalized before they are exponentiated."""
    log_p = drawn(80)
    log_p += np.linspace(0, 1, 80)[:, None]
    found = of_log_p(log_p, 1e-6)
    values = log_p[:, :5].astype("f").mean(1, dtype=np.float64)[None]
    exponents = [(power - 1) * log_p.sum(1)[None] / 1e-6 for power in (0.99, 1.01)]
    lower, upper = (np.exp(one - logsumexp(one)) for one in exponents)
    exact = array_stats.power_scale_sense(values, lower, upper, 0.99, 1.01, chain_axis=0, draw_axis=1)
    assert found.likelihood == pytest.approx(float(exact))
    assert found.likelihood > 1


def test_power_scaling_is_felt_from_what_moves_the_posterior() -> None:
    """Twelve images move the mean more than a wide prior does."""
    found, _ = of_mean(1.0, 1.0)
    assert found.likelihood > 0.05 > found.prior


def test_densities_are_those_of_a_training_step(tmp_path: Path) -> None:
    """Minus the mean of the objective's loss, image by image; the prior's density of all weights."""
    job = tiny.job(tmp_path, **CHAIN | {"prior": "confidence:T=0.5,scale=0.5", "draws": 2})
    results, data = execute(job), load_training(job.run, open_dataset("digits"))
    found = densities(job.folder, results.settings, job.run, data)
    gallery, labels = data.training
    pipeline = training_pipeline(job.run, gallery.shape, 10)
    drawn = pipeline.draw(0, 0, 2, len(labels), torch.device("cpu"), purpose="leave one out")
    views = pipeline.render(gallery, drawn, np.arange(len(labels)))
    kept = checkpoints.load(job.folder / checkpoints.NAME, results.settings).draws
    assert kept is not None
    for place in range(2):
        network = initial_network(job.run, 1, 10).eval()
        network.load_state_dict({name: values[place] for name, values in kept.items()})
        with torch.no_grad():
            logits = network(views.images.flatten(0, 1)).unflatten(0, (2, len(labels)))
        objective: Objective = job.run.objective
        assert -found.log_likelihood[place].mean() == pytest.approx(
            float(objective.loss(logits, views.decay, labels, views.weight)), rel=1e-4
        )
        weights = np.concatenate([values.detach().numpy().ravel() for values in network.parameters()])
        most = logits.log_softmax(-1).amax(-1).double().mean(0).sum()
        assert found.log_prior[place] == pytest.approx(-(weights**2).sum() / 0.5 + float(most), rel=1e-4)


def test_views_of_images_that_are_told_apart_know_which_they_are(tmp_path: Path) -> None:
    job = tiny.job(tmp_path / "run", **CHAIN)
    results = execute(job)
    data = load_training(job.run, open_dataset("digits"))
    with mock.patch("auglik.runs.densities.training_pipeline", wraps=training_pipeline) as made:
        densities(job.folder, results.settings, job.run, data)
    assert made.call_args.args[3] is data.rows


def test_the_command_says_it_and_the_report_first_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = mock.Mock(side_effect=load_training)
    monkeypatch.setattr("auglik.cli.sample.load_training", counted)
    options = tiny.options(**CHAIN | {"epochs": 20, "draws": 15, "output": tmp_path / "out"})
    refused = CliRunner().invoke(auglik, ["sample", *options, "--chains", "1", "--leave-one-out"])
    assert refused.exit_code == 2
    assert "draws: expected at least 25 of all chains where images are left out, got 15" in refused.output
    found = CliRunner().invoke(auglik, ["sample", *options, "--chains", "2", "--jobs", "1", "--leave-one-out"])
    assert found.exit_code == 0, found.output
    with monkeypatch.context() as patched:
        patched.setattr("auglik.cli.sample.collect", lambda *ran: {cell: one[:1] for cell, one in ended(*ran).items()})
        fewer = CliRunner().invoke(auglik, ["sample", *options, "--chains", "2", "--jobs", "1", "--leave-one-out"])
    assert fewer.exit_code == 1
    assert fewer.output.endswith("no image is left out: 15 draws of the chains that ended, at least 25 are needed\n")
    said = found.output[found.output.index("on one draw of 2 views of each training image:") :].splitlines()
    assert counted.call_count == 1
    failure = re.fullmatch(r"FAILS: (PSIS-LOO is not reliable: Pareto k over 0\.32 for \d+\.\d% of the .*)", said[1])
    assert failure is not None
    assert (elpd := re.match(r"PSIS-LOO: (-\d\.\d{4} ± \d\.\d{4}) nats a training image left out, ", said[2]))
    assert said[3].startswith("power-scaling sensitivity of the test images' log-probability: ")
    keep(tmp_path / "out", tmp_path / "kept")
    collected = collect(tmp_path / "kept")
    left_out = images_left_out(collected)
    assert f"smoothed+jensen: {failure[1]}" in sampling_warnings(examined(collected), left_out)
    section = sampled(collected, examined(collected), left_out, 0.005)
    assert section is not None
    (table,) = (item for item in section.items if isinstance(item, Table) and item.key == "left-out")
    assert table.rows[0].entries[0].text == elpd[1]
    damaged = next((tmp_path / "kept").rglob("densities.npz"))
    damaged.write_bytes(b"PK")
    with pytest.raises(InputError, match=re.escape(f"{damaged}: expected the densities of draws")):
        load_densities(damaged.parent)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"augment": "mixup,fcr", "likelihood": "smoothed"}, "augment: expected no mixing where images are left out"),
        ({"aggregator": "sumo"}, "aggregator: expected a fixed number of views where images are left out, got sumo"),
        ({"broadcast_weights": True}, "broadcast_weights: expected false where images are left out"),
    ],
)
def test_views_that_leave_no_image_out_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        check_left_out(tiny.run(**CHAIN | changes))

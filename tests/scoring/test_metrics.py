import math
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from sklearn.metrics import log_loss

from auglik.objectives.errors import InputError
from auglik.scoring import metrics
from auglik.scoring.label_entropy import mean_label_entropy
from auglik.scoring.metrics import marginal_log_likelihood, scores

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Predictions = tuple[Array, Labels]

WHOLE_SET = [
    metrics.error,
    metrics.nll,
    metrics.brier,
    metrics.mean_confidence,
    metrics.expected_calibration_error,
    metrics.equal_mass_calibration_error,
]


def predictions(images: int, classes: int, seed: int, scale: float = 2.0) -> Predictions:
    """A perfectly calibrated model: labels drawn from its own probabilities."""
    generator = np.random.default_rng(seed)
    log_p = special.log_softmax(generator.normal(0, scale, (images, classes)), axis=1)
    return log_p, (log_p + generator.gumbel(size=log_p.shape)).argmax(axis=1)


def from_probabilities(rows: list[list[float]], labels: list[int]) -> Predictions:
    with np.errstate(divide="ignore"):
        return np.log(np.array(rows)), np.array(labels)


CASES = {
    "calibrated": predictions(500, 10, seed=0),
    "certain": predictions(300, 4, seed=1, scale=60.0),
    "near uniform": predictions(211, 100, seed=2, scale=1e-6),
    "one image": predictions(1, 3, seed=3),
    "one class": (predictions(40, 3, seed=4)[0], np.full(40, 2)),
    "ties": from_probabilities([[0.75, 0.25], [0.5, 0.5]] * 25, [0, 1, 1, 0, 0] * 10),
    "exactly one": from_probabilities([[1.0, 0.0], [0.0, 1.0], [0.95, 0.05]] * 5, [0, 1, 0, 0, 1] * 3),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def exact_gaps(case: Predictions) -> list[tuple[Fraction, Fraction]]:
    """(confidence, correct) of every image as exact fractions."""
    log_p, labels = case
    pairs = []
    for row, label in zip(log_p, labels, strict=True):
        predicted = max(range(len(row)), key=lambda c: row[c])
        pairs.append((Fraction(float(np.exp(row[predicted]))), Fraction(int(predicted == label))))
    return pairs


def naive_ece(pairs: list[tuple[Fraction, Fraction]], bins: int) -> float:
    total = Fraction(0)
    for b in range(bins):
        low, high = Fraction(b / bins), Fraction((b + 1) / bins)
        inside = [pair for pair in pairs if low < min(pair[0], Fraction(1)) <= high]
        if inside:
            confidence = sum((pair[0] for pair in inside), Fraction(0)) / len(inside)
            accuracy = sum((pair[1] for pair in inside), Fraction(0)) / len(inside)
            total += Fraction(len(inside), len(pairs)) * abs(accuracy - confidence)
    return float(total)


def naive_equal_mass(pairs: list[tuple[Fraction, Fraction]], bins: int) -> float:
    tied: dict[Fraction, list[Fraction]] = defaultdict(list)
    for confidence, correct in pairs:
        tied[confidence].append(correct)
    ordered = [(sum(tied[c], Fraction(0)) / len(tied[c]), c) for c in sorted(tied) for _ in tied[c]]
    total = Fraction(0)
    for b in range(bins):
        inside = [accuracy - c for rank, (accuracy, c) in enumerate(ordered) if rank * bins // len(ordered) == b]
        assert abs(len(inside) - Fraction(len(ordered), bins)) < 1
        total += abs(sum(inside, Fraction(0))) / len(ordered)
    return float(total)


@cases
def test_error_nll_and_brier_against_the_definition(case: Predictions) -> None:
    log_p, labels = case
    images, classes = log_p.shape
    p, onehot = np.exp(log_p), np.eye(classes)[labels]
    assert metrics.error(log_p, labels) == 1 - np.mean(
        [row.argmax() == y for row, y in zip(log_p, labels, strict=True)]
    )
    assert metrics.nll(log_p, labels) == pytest.approx(-sum(log_p[i, labels[i]] for i in range(images)) / images)
    assert metrics.brier(log_p, labels) == pytest.approx(((p - onehot) ** 2).sum() / images)
    assert metrics.mean_confidence(log_p, labels) == pytest.approx(p.max(axis=1).mean())


@pytest.mark.parametrize("name", ["calibrated", "one image", "one class", "ties"])
def test_nll_is_that_of_scikit_learn(name: str) -> None:
    log_p, labels = CASES[name]
    expected = log_loss(labels, np.exp(log_p), labels=np.arange(log_p.shape[1]))
    assert metrics.nll(log_p, labels) == pytest.approx(expected)


@cases
@pytest.mark.parametrize("bins", [1, 2, 15, 40])
def test_calibration_errors_against_exact_fractions(case: Predictions, bins: int) -> None:
    log_p, labels = case
    pairs = exact_gaps(case)
    assert metrics.expected_calibration_error(log_p, labels, bins) == pytest.approx(naive_ece(pairs, bins), abs=1e-12)
    equal_mass = metrics.equal_mass_calibration_error(log_p, labels, bins)
    assert equal_mass == pytest.approx(naive_equal_mass(pairs, bins), abs=1e-12)


@cases
@pytest.mark.parametrize("batch", [1, 7, 100])
def test_batched_calibration_error_is_the_weighted_mean_over_batches(case: Predictions, batch: int) -> None:
    log_p, labels = case
    pairs = exact_gaps(case)
    batches = [pairs[start : start + batch] for start in range(0, len(pairs), batch)]
    expected = sum(len(part) * naive_ece(part, 15) for part in batches) / len(pairs)
    assert metrics.batched_calibration_error(log_p, labels, batch) == pytest.approx(expected, abs=1e-12)


def test_a_confidence_of_one_shares_the_last_bin() -> None:
    log_p, labels = from_probabilities([[1.0, 0.0], [0.95, 0.05]], [1, 0])
    assert metrics.expected_calibration_error(log_p, labels) == pytest.approx((1 - 0.05) / 2)


def test_bins_are_closed_on_the_right() -> None:
    log_p, labels = from_probabilities([[0.5, 0.5, 0.0], [0.4, 0.3, 0.3]], [0, 1])
    assert metrics.expected_calibration_error(log_p, labels, bins=2) == pytest.approx((0.5 - 0.4) / 2)


def test_rounding_above_one_stays_in_the_last_bin() -> None:
    log_p = np.array([[1e-7, -40.0], [np.log(0.99), np.log(0.01)]])
    assert metrics.expected_calibration_error(log_p, np.array([1, 0])) == pytest.approx((1 - 0.01) / 2)
    assert metrics.mean_confidence(log_p, np.array([1, 0])) == pytest.approx(0.995)


def test_a_tie_split_over_bins_is_not_miscalibrated_by_the_order_of_its_labels() -> None:
    log_p, labels = from_probabilities([[0.75, 0.25]] * 100, [0] * 75 + [1] * 25)
    assert metrics.equal_mass_calibration_error(log_p, labels) == pytest.approx(0, abs=1e-12)


def test_batches_of_100_make_a_calibrated_model_look_ten_times_worse() -> None:
    log_p, labels = predictions(10_000, 10, seed=5)
    whole, batched = (
        metrics.expected_calibration_error(log_p, labels),
        metrics.batched_calibration_error(log_p, labels),
    )
    assert whole < 0.015
    assert metrics.equal_mass_calibration_error(log_p, labels) < 0.02
    assert 5 < batched / whole < 20


def test_miscalibration_is_found() -> None:
    log_p, labels = predictions(10_000, 10, seed=6)
    overconfident = special.log_softmax(3 * log_p, axis=1)
    expected = metrics.mean_confidence(overconfident, labels) - (1 - metrics.error(overconfident, labels))
    assert expected > 0.1
    assert metrics.expected_calibration_error(overconfident, labels) == pytest.approx(expected, rel=0.05)


def test_scores_are_the_single_metrics() -> None:
    log_p, labels = CASES["calibrated"]
    assert scores(log_p, labels)._asdict() == {
        "error": metrics.error(log_p, labels),
        "nll": metrics.nll(log_p, labels),
        "brier": metrics.brier(log_p, labels),
        "ece": metrics.expected_calibration_error(log_p, labels, bins=15),
        "ece_equal_mass": metrics.equal_mass_calibration_error(log_p, labels, bins=15),
        "ece_batches_of_100": metrics.batched_calibration_error(log_p, labels, batch=100, bins=15),
        "mean_confidence": metrics.mean_confidence(log_p, labels),
    }


def test_float32_tensors_are_scored_in_float64() -> None:
    log_p, labels = CASES["calibrated"]
    single = torch.from_numpy(log_p).float()
    assert scores(single, torch.from_numpy(labels)) == scores(single.double().numpy(), labels)


def test_a_label_of_probability_zero_costs_inf() -> None:
    assert metrics.nll(*from_probabilities([[1.0, 0.0]], [1])) == math.inf


@st.composite
def drawn_predictions(draw: st.DrawFn) -> Predictions:
    """Few distinct logits, so that ties in confidence are common."""
    images, classes = draw(st.integers(1, 12)), draw(st.integers(2, 4))
    logit = st.one_of(st.integers(-2, 2).map(float), st.floats(-800, 800))
    row = st.lists(logit, min_size=classes, max_size=classes)
    logits = draw(st.lists(row, min_size=images, max_size=images))
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=images, max_size=images))
    return special.log_softmax(np.array(logits), axis=1), np.array(labels)


@given(drawn_predictions())
def test_ranges(case: Predictions) -> None:
    result = scores(*case)
    classes = case[0].shape[1]
    assert result.nll >= 0
    assert 0 <= result.brier <= 2 + 1e-12
    assert 1 / classes - 1e-12 <= result.mean_confidence <= 1 + 1e-12
    for share in (result.error, result.ece, result.ece_equal_mass, result.ece_batches_of_100):
        assert 0 <= share <= 1 + 1e-12
    gap_of_one_bin = abs(1 - result.error - result.mean_confidence)
    assert min(result.ece, result.ece_equal_mass, result.ece_batches_of_100) >= gap_of_one_bin - 1e-12


@given(drawn_predictions(), st.randoms(use_true_random=False))
def test_the_order_of_the_images_is_irrelevant(case: Predictions, random: Random) -> None:
    log_p, labels = case
    order = np.array(random.sample(range(len(labels)), len(labels)))
    for metric in WHOLE_SET:
        assert metric(log_p[order], labels[order]) == pytest.approx(metric(log_p, labels), rel=1e-12, abs=1e-12)


@given(st.integers(2, 9), st.integers(1, 5), st.data())
def test_marginal_is_between_plain_and_plain_plus_one_half(M: int, N: int, data: st.DataObject) -> None:
    value = st.floats(-1000, 0)
    log_p = np.array(data.draw(st.lists(st.lists(value, min_size=N, max_size=N), min_size=M, max_size=M)))
    result = marginal_log_likelihood(log_p)
    assert log_p.mean() - 1e-9 <= result.plain <= log_p.max(axis=0).mean() + 1e-9
    assert result.plain <= result.corrected <= result.plain + 0.5 + 1e-9
    assert 1 - 1e-9 <= result.effective_views <= M + 1e-9


def test_marginal_against_torch_and_the_direct_form() -> None:
    log_p = np.log(np.random.default_rng(7).beta(0.7, 1.3, (16, 50)))
    M, N = log_p.shape
    result = marginal_log_likelihood(log_p)
    plain = torch.logsumexp(torch.from_numpy(log_p), dim=0).numpy() - math.log(M)
    p = np.exp(log_p)
    squared_error = p.var(axis=0, ddof=1) / (M * p.mean(axis=0) ** 2)
    corrected = plain + squared_error / 2
    assert result.plain == pytest.approx(plain.mean())
    assert result.corrected == pytest.approx(corrected.mean())
    assert result.standard_error == pytest.approx(stats.sem(corrected))
    assert result.monte_carlo_error == pytest.approx(math.sqrt(squared_error.sum()) / N)
    assert result.effective_views == pytest.approx((p.sum(axis=0) ** 2 / (p**2).sum(axis=0)).mean())


def test_marginal_of_equal_views_is_their_likelihood() -> None:
    log_p = np.tile([-700.0, -2.0, 0.0], (5, 1))
    result = marginal_log_likelihood(log_p)
    assert result.plain == pytest.approx(log_p[0].mean())
    assert result.corrected == pytest.approx(result.plain)
    assert result.monte_carlo_error == pytest.approx(0, abs=1e-12)
    assert result.effective_views == pytest.approx(5)


def test_marginal_with_views_of_likelihood_zero() -> None:
    result = marginal_log_likelihood([[math.log(0.5)], [-math.inf]])
    assert result.plain == pytest.approx(math.log(0.25))
    assert result.corrected == pytest.approx(math.log(0.25) + 0.5)
    assert result.effective_views == pytest.approx(1)
    assert math.isnan(result.standard_error)


def test_the_correction_removes_most_of_the_bias() -> None:
    """Beta(2,2) views, M = 4: reference biases -0.140 for jensen, -0.027 plain, +0.002 corrected."""
    log_p = np.log(np.random.default_rng(8).beta(2, 2, (4, 100_000)))
    exact = math.log(0.5)
    result = marginal_log_likelihood(log_p)
    rounding = 5e-4
    assert log_p.mean() - exact == pytest.approx(-0.140, abs=4 * stats.sem(log_p.ravel()) + rounding)
    assert result.plain - exact == pytest.approx(-0.027, abs=4 * result.standard_error + rounding)
    assert result.corrected - exact == pytest.approx(0.002, abs=4 * result.standard_error + rounding)
    assert abs(result.corrected - exact) < abs(result.plain - exact) / 5


def test_monte_carlo_error_is_the_spread_over_repeated_draws_of_views() -> None:
    repetitions, M, N = 400, 64, 20
    generator = np.random.default_rng(9)
    a = generator.uniform(1, 5, N)
    results = [marginal_log_likelihood(np.log(generator.beta(a, 2.0, (M, N)))) for _ in range(repetitions)]
    spread = np.std([result.plain for result in results], ddof=1)
    predicted = np.mean([result.monte_carlo_error for result in results])
    assert predicted == pytest.approx(spread, rel=4 / math.sqrt(2 * repetitions))


@pytest.mark.parametrize("classes", [2, 10, 1000])
@pytest.mark.parametrize("gamma", [0.0, 1e-300, 1e-12, 0.3, 0.999999, 1.0])
def test_label_entropy_is_that_of_scipy(classes: int, gamma: float) -> None:
    label = np.full(classes, gamma / classes)
    label[0] += 1 - gamma
    assert mean_label_entropy([gamma], classes) == pytest.approx(stats.entropy(label), rel=1e-9)


def test_label_entropy_is_averaged_over_views() -> None:
    assert mean_label_entropy(np.array([[0.0, 1.0], [1.0, 0.0]]), 10) == pytest.approx(math.log(10) / 2)
    assert mean_label_entropy(0.0, 10) == 0
    assert mean_label_entropy(0.0, 10, [0.0, 1.0]) == 0
    assert mean_label_entropy([[0.0], [1.0]], 10, importance=[[3.0], [1.0]]) == pytest.approx(math.log(10) / 4)


LOG_P, LABELS = CASES["calibrated"]
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "no images": (lambda: scores(np.zeros((0, 10)), np.zeros(0, int)), r"at least one image, got shape \(0, 10\)"),
    "no classes": (lambda: scores(np.zeros((3, 0)), np.zeros(3, int)), r"got shape \(3, 0\)"),
    "views": (lambda: scores(LOG_P[None], LABELS), r"\[N,C\].*got shape \(1, 500, 10\)"),
    "ragged": (lambda: scores([[0.0], [0.0, 1.0]], [0, 0]), "got list"),
    "gradient": (lambda: scores(torch.zeros(1, 1, requires_grad=True), [0]), "detached and on the CPU"),
    "fewer labels": (lambda: scores(LOG_P, LABELS[1:]), r"\[500\], got int64 \[499\]"),
    "column of labels": (lambda: scores(LOG_P, LABELS[:, None]), r"got int64 \[500, 1\]"),
    "soft labels": (lambda: scores(LOG_P, np.exp(LOG_P)), r"got float64 \[500, 10\]"),
    "float labels": (lambda: scores(LOG_P, LABELS.astype(float)), "got float64"),
    "label too great": (lambda: scores(LOG_P, np.full(500, 10)), r"0\.\.9, got 10 to 10"),
    "negative label": (lambda: scores(LOG_P, LABELS - 1), r"0\.\.9, got -1 to 8"),
    "logits": (lambda: scores(np.full((2, 3), 800.0), [0, 0]), "got inf in row 0: are these logits"),
    "probabilities": (lambda: scores(np.exp(LOG_P), LABELS), "row 0: are these probabilities"),
    "rounded": (lambda: scores(np.full((2, 1000), -6.906, np.float16), [0, 0]), "row 0: were they rounded to half"),
    "nan": (lambda: scores(np.full((1, 3), np.nan), [0]), "holds NaN"),
    "no mass": (lambda: scores(np.full((1, 3), -np.inf), [0]), "got 0 in row 0"),
    "no bins": (lambda: metrics.expected_calibration_error(LOG_P, LABELS, bins=0), "bins >= 1, got 0"),
    "no mass bins": (lambda: metrics.equal_mass_calibration_error(LOG_P, LABELS, bins=0), "bins >= 1, got 0"),
    "no batch": (lambda: metrics.batched_calibration_error(LOG_P, LABELS, batch=0), "batch >= 1, got 0"),
    "one view": (lambda: marginal_log_likelihood(np.zeros((1, 5))), "M >= 2 views, got 1"),
    "no views": (lambda: marginal_log_likelihood(np.zeros((0, 5))), r"got shape \(0, 5\)"),
    "one axis": (lambda: marginal_log_likelihood(np.zeros(5)), r"got shape \(5,\)"),
    "nan view": (lambda: marginal_log_likelihood([[0.0, np.nan], [0.0, 0.0]]), "image 1 is nan"),
    "infinite view": (lambda: marginal_log_likelihood([[np.inf], [0.0]]), "image 0 is inf"),
    "impossible image": (lambda: marginal_log_likelihood([[0.0, -np.inf], [0.0, -np.inf]]), "image 1 is -inf"),
    "decay above one": (lambda: mean_label_entropy([0.5, 1.5], 10), "got 0.5 to 1.5"),
    "nan decay": (lambda: mean_label_entropy([math.nan], 10), "got nan"),
    "no decay": (lambda: mean_label_entropy([], 10), "got none"),
    "share above one": (
        lambda: mean_label_entropy([0.5], 10, [1.5]),
        "expected shares between 0 and 1, got 1.5 to 1.5",
    ),
    "share below zero": (lambda: mean_label_entropy([0.5], 10, [-0.5]), "expected shares between 0 and 1, got -0.5"),
    "no other class": (lambda: mean_label_entropy([0.5], 1), "at least 2 classes, got 1"),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)

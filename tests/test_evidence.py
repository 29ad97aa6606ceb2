"""The pages of evidence say what the committed predictions do, computed here without the project's inference."""

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from arviz_stats.base import array_stats  # type: ignore[attr-defined]
from scipy import special
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

EVIDENCE = Path(__file__).parent.parent / "docs" / "evidence"
Nll = Callable[[np.lib.npyio.NpzFile], np.ndarray]


def clean_nll(kept: np.lib.npyio.NpzFile) -> np.ndarray:
    """-log p of the label [N]."""
    return at_label(kept["log_probabilities"], kept["labels"])


def scaled_nll(kept: np.lib.npyio.NpzFile) -> np.ndarray:
    """The same at the temperature of least NLL on the validation images, sought in its logarithm."""
    logits, labels = kept["validation_log_probabilities"].astype(float), kept["validation_labels"]

    def nll(log_beta: float) -> float:
        beta = np.exp(log_beta)
        return float((logsumexp(beta * logits, axis=1) - beta * logits[np.arange(len(labels)), labels]).mean())

    beta = np.exp(minimize_scalar(nll, bounds=np.log([0.02, 50]), method="bounded", options={"xatol": 1e-6}).x)
    return at_label(beta * kept["log_probabilities"].astype(float), kept["labels"])


def at_label(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return -log_softmax(logits.astype(float), axis=1)[np.arange(len(labels)), labels]


COLUMNS: dict[str, dict[str, tuple[str, Nll]]] = {
    "what-turns-it": {
        "log-mean": ("log-mean", clean_nll),
        "durbin-koopman": ("corrected", clean_nll),
        "normalized": ("normalized", clean_nll),
        "tempered": ("tempered", clean_nll),
    },
    "network-or-data": {"log-mean": ("log-mean", clean_nll), "after temperature scaling": ("log-mean", scaled_nll)},
    "cold-posterior": {"T = 0.3 less T = 1": ("T-0.3", clean_nll)},
    "soft-labels": {"NLL after temperature scaling": ("soft", scaled_nll), "NLL as it is": ("soft", clean_nll)},
}
"""The columns of differences of every page: a cell, and what of its predictions is compared with the reference's."""


def rows(page: str) -> Iterator[dict[str, str]]:
    """The lines of a page's table, by the names of the columns."""
    lines = re.findall(r"^\| (.*) \|$", (EVIDENCE / f"{page}.md").read_text(), re.MULTILINE)
    head, *entries = (line.split(" | ") for line in lines)
    for entry in entries:
        yield dict(zip(head, entry, strict=True))


ROWS = [(page, row) for page in COLUMNS for row in rows(page)]


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"[-+]?\d+\.\d+", text)]


def wrong(kept: np.lib.npyio.NpzFile) -> float:
    """Per cent of images whose likeliest class is not their label."""
    return 100 * float((kept["log_probabilities"].argmax(1) != kept["labels"]).mean())


def overconfidence(kept: np.lib.npyio.NpzFile) -> float:
    """Mean of the largest probability, less accuracy."""
    p = np.exp(log_softmax(kept["log_probabilities"].astype(float), axis=1))
    return float(p.max(1).mean()) - 1 + wrong(kept) / 100


def cells(page: str) -> list[str]:
    """The reference, then the others."""
    return [cell["name"] for cell in tomllib.loads((EVIDENCE / page / "cells.toml").read_text())["cells"]]


def runs(page: str, condition: str, cell: str) -> list[np.lib.npyio.NpzFile]:
    """The kept predictions of a cell in the order of the seeds."""
    seeds = tomllib.loads((EVIDENCE / page / "cells.toml").read_text())["seeds"]
    return [np.load(EVIDENCE / page / "kept" / condition / cell / f"seed-{seed}" / "predictions.npz") for seed in seeds]


Kept = dict[str, list[np.lib.npyio.NpzFile]]


def mean_nll(of_cell: list[np.lib.npyio.NpzFile]) -> float:
    return float(np.mean([clean_nll(run).mean() for run in of_cell]))


def unmixed(chains: list[np.lib.npyio.NpzFile]) -> bool:
    """Whether ArviZ's R-hat of the label's log-probability is over 1.1 for more than 5% of the images."""
    values = np.stack([chain["draw_log_likelihoods"].astype(float) for chain in chains])
    return bool(np.quantile(array_stats.rhat(values, chain_axis=0, draw_axis=1), 0.95) > 1.1)


OF_CHAINS: dict[str, Callable[[Kept], float]] = {
    "clean NLL at T = 1": lambda kept: mean_nll(kept["T-1"]),
    "at T = 0.3": lambda kept: mean_nll(kept["T-0.3"]),
    "kinetic T at 0.3": lambda kept: float(np.mean([chain["temperatures"][:, 0].mean() for chain in kept["T-0.3"]])),
    "cells whose chains fail": lambda kept: sum(map(unmixed, kept.values())),
}


@pytest.mark.parametrize("page", COLUMNS)
def test_a_page_has_every_condition(page: str) -> None:
    shown = [row["condition"].strip("`") for of, row in ROWS if of == page]
    assert shown == list(tomllib.loads((EVIDENCE / page / "conditions.toml").read_text())["conditions"])
    assert sorted(shown) == sorted(path.name for path in (EVIDENCE / page / "kept").iterdir())


@pytest.mark.parametrize(("page", "row"), ROWS, ids=[f"{page}-{row['condition'].strip('`')}" for page, row in ROWS])
def test_figures_are_those_of_the_predictions(page: str, row: dict[str, str]) -> None:
    reference, *others = cells(page)
    kept = {cell: runs(page, row["condition"].strip("`"), cell) for cell in (reference, *others)}
    for column, shown in row.items():
        if column in COLUMNS[page]:
            cell, nll = COLUMNS[page][column]
            pairs = list(zip(kept[cell], kept[reference], strict=True))
            for one, other in pairs:
                np.testing.assert_array_equal(one["indices"], other["indices"])
            of_seeds = [float((nll(one) - nll(other)).mean()) for one, other in pairs]
            if shown == "the same":
                assert of_seeds == [0.0] * len(of_seeds)
                continue
            mean, lower, upper = numbers(shown)
            # where all validation images are classified correctly, their NLL is flat near the bound of the temperatures
            assert mean == pytest.approx(np.mean(of_seeds), abs=6e-4 if nll is clean_nll else 2e-3)
            assert lower <= mean <= upper
        elif "points" in column:
            mean, lower, upper = numbers(shown)
            d = [wrong(one) - wrong(other) for one, other in zip(kept[others[0]], kept[reference], strict=True)]
            half = special.stdtrit(len(d) - 1, 0.975) * np.std(d, ddof=1) / len(d) ** 0.5
            np.testing.assert_allclose([mean, lower, upper], np.mean(d) + np.array([0, -half, half]), atol=0.04)
        elif column in OF_CHAINS:
            assert float(shown.split()[0]) == pytest.approx(OF_CHAINS[column](kept), abs=6e-4)
        elif column != "condition":
            own = kept[others[0] if column in ("of soft", "log-mean's") else reference]
            figure = np.mean([overconfidence(one) if "%" not in shown else wrong(one) for one in own])
            assert numbers(shown) == [pytest.approx(figure, abs=0.03 if "%" in shown else 1e-3)]


PAIRED = {
    "digits, small-cnn, FCR": ("what-turns-it", "no-mollification", "base"),
    "digits, small-cnn, FCR + TrivialAugment": ("what-turns-it", "trivial-augment-only", "trivial-augment"),
    "CIFAR-10, fast-resnet, FCR + TrivialAugment": ("network-or-data", "no-mollification", "base"),
}


def test_what_mollification_does_is_that_of_the_predictions() -> None:
    shown = re.search(r"<!-- table -->\n(.*)<!-- end -->", (EVIDENCE / "known.md").read_text(), re.DOTALL)
    assert shown is not None
    _, _, *lines = shown[1].splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in lines] == list(PAIRED)
    for line, (page, without, with_) in zip(lines, PAIRED.values(), strict=True):
        pairs = list(zip(runs(page, with_, "smoothed"), runs(page, without, "smoothed"), strict=True))
        _, one, other, points, as_it_is, after = line.strip("| ").split(" | ")
        for text, measure, tolerance in ((points, wrong, 0.03), (as_it_is, clean_nll, 6e-4), (after, scaled_nll, 2e-3)):
            mean = np.mean([np.mean(measure(a) - measure(b)) for a, b in pairs])
            assert numbers(text)[0] == pytest.approx(mean, abs=tolerance)
        for text, place in ((other, 0), (one, 1)):
            assert numbers(text) == [pytest.approx(np.mean([wrong(pair[place]) for pair in pairs]), abs=0.03)]

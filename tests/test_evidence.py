"""The pages of evidence say what the committed predictions do, computed here without the project's inference."""

import csv
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from arviz_stats.base import array_stats  # type: ignore[attr-defined]
from scipy import special
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

ROOT = Path(__file__).parent.parent
EVIDENCE = ROOT / "docs" / "evidence"
OUTCOMES = ("better", "worse", "equal", "undecided")
Nll = Callable[[np.lib.npyio.NpzFile], np.ndarray]


def clean_nll(kept: np.lib.npyio.NpzFile) -> np.ndarray:
    """-log p of the label [N]."""
    return at_label(kept["log_probabilities"], kept["labels"])


def scaled_nll(kept: np.lib.npyio.NpzFile) -> np.ndarray:
    """The same at the temperature of least NLL on the validation images; at an end of its range if it is flat there."""
    logits, labels = kept["validation_log_probabilities"].astype(float), kept["validation_labels"]

    def nll(log_beta: float) -> float:
        beta = np.exp(log_beta)
        return float((logsumexp(beta * logits, axis=1) - beta * logits[np.arange(len(labels)), labels]).mean())

    ends = np.log([0.02, 50])
    found = minimize_scalar(nll, bounds=ends, method="bounded", options={"xatol": 1e-6})
    beta = np.exp(min([*ends, found.x], key=nll))  # the first of equal ones
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
    "cold-posterior-natural": {"T = 0.3 less T = 1": ("T-0.3", clean_nll)},
    "soft-labels": {"NLL after temperature scaling": ("soft", scaled_nll), "NLL as it is": ("soft", clean_nll)},
    "views": {"log-mean": ("log-mean", clean_nll), "durbin-koopman": ("corrected", clean_nll)},
}
"""The columns of differences of every page: a cell, and what of its predictions is compared with the reference's."""


def rows(page: str) -> Iterator[dict[str, str]]:
    """The lines of a page's tables, by the names of the columns."""
    text = (EVIDENCE / f"{page}.md").read_text()
    for titles, lines in re.findall(r"^\| (.*) \|\n\|[-|]+\|\n((?:\| .* \|\n)+)", text, re.MULTILINE):
        for line in lines.splitlines():
            yield dict(zip(titles.split(" | "), line[2:-2].split(" | "), strict=True))


ROWS = [(page, row) for page in COLUMNS for row in rows(page) if "condition" in row]


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


MEANS = {"clean NLL of the reference": "smoothed", "of log-mean": "log-mean", "of corrected": "corrected"}
"""Columns of mean clean NLL, by their cells."""
OF_CHAINS: dict[str, Callable[[Kept], float]] = {
    "clean NLL at T = 1": lambda kept: mean_nll(kept["T-1"]),
    "at T = 0.3": lambda kept: mean_nll(kept["T-0.3"]),
    "kinetic T at 0.3": lambda kept: float(np.mean([chain["temperatures"][:, 0].mean() for chain in kept["T-0.3"]])),
    "cells whose chains fail": lambda kept: sum(map(unmixed, kept.values())),
}


def test_pages_are_named_whose_kept_predictions_miscount_errors() -> None:
    pages, most = set(), 0.0
    for path in sorted(EVIDENCE.glob("*/kept/**/seed-*/results.json")):
        said, found = json.loads(path.read_text()), np.load(path.parent / "predictions.npz")
        for part in ("clean", "folded", "mollified"):
            log_p = found["log_probabilities" if part == "clean" else f"{part}_log_probabilities"]
            off = abs((log_p.argmax(-1) != found["labels"]).mean() - said[f"{part}_error"])
            if off > 1e-9:
                pages.add(path.relative_to(EVIDENCE).parts[0])
                most = max(most, off)
    text = (EVIDENCE / "known.md").read_text()
    [told] = re.findall("<!-- rounded -->(.*?)<!-- end -->", text, re.DOTALL)
    assert set(re.findall(r"\((.*?)\.md\)", told)) == pages
    assert f"by up to {100 * most:.2f} points: <!-- rounded -->" in text.replace("\n", " ")


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
            np.testing.assert_allclose([mean, lower, upper], student(d)[0], atol=0.04)
        elif column in OF_CHAINS:
            assert float(shown.split()[0]) == pytest.approx(OF_CHAINS[column](kept), abs=6e-4)
        elif column in MEANS:
            assert float(shown) == pytest.approx(mean_nll(kept[MEANS[column]]), abs=6e-4)
        elif column != "condition":
            own = kept[others[0] if column in ("of soft", "log-mean's") else reference]
            figure = np.mean([overconfidence(one) if "%" not in shown else wrong(one) for one in own])
            assert numbers(shown) == [pytest.approx(figure, abs=0.03 if "%" in shown else 1e-3)]


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """The scripts and the page of soft labels, of two seeds and two conditions that take an epoch each."""
    folder, page = tmp_path / "evidence", EVIDENCE / "soft-labels"
    shutil.copytree(EVIDENCE, folder, ignore=lambda at, names: [name for name in names if (Path(at) / name).is_dir()])
    keep_two_seeds("crop", folder)
    every = tomllib.loads((page / "conditions.toml").read_text())["conditions"]
    two = [f"{name} = {json.dumps(every[name])}\n" for name in ("erasing-20", "crop")]
    (folder / "soft-labels" / "conditions.toml").write_text("[conditions]\n" + "".join(two))
    of = (page / "cells.toml").read_text()
    of = re.sub("^seeds = .*", "seeds = [40, 41]", of, flags=re.MULTILINE).replace("epochs = 40", "epochs = 1")
    (folder / "soft-labels" / "cells.toml").write_text(of)
    return folder


def keep_two_seeds(condition: str, folder: Path) -> None:
    """The committed ones, into a folder of pages."""
    for place in (Path(condition, cell, f"seed-{seed}") for seed in (40, 41) for cell in cells("soft-labels")):
        shutil.copytree(EVIDENCE / "soft-labels/kept" / place, folder / "soft-labels/kept" / place)


def python(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=folder, capture_output=True, text=True)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def test_a_repeated_page_has_its_own_figures_beside_the_committed_ones(evidence: Path, tmp_path: Path) -> None:
    """Words and a picture once all conditions are in; what is committed stays."""
    before, own = contents(evidence), tmp_path / "own"
    found = python("repeat.py", "soft-labels", own, "crop", folder=evidence)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[-1].startswith(f"{own / 'soft-labels.md'}: ")
    errors = [wrong(np.load(path)) for path in (own / "soft-labels/kept/crop/hard").glob("*/predictions.npz")]
    assert len(errors) == 2
    for shown in (["crop"], ["erasing-20", "crop"]):
        here, committed = (own / "soft-labels.md").read_text().split("## As committed\n\n")
        lines = {line.split("`")[1]: line for line in here.splitlines() if line.startswith("| `")}
        assert list(lines) == shown
        assert numbers(lines["crop"])[0] == pytest.approx(np.mean(errors), abs=0.01)
        whole = len(shown) == 2
        assert any(outcome in here for outcome in OUTCOMES) == whole
        assert (own / "soft-labels" / "forest.svg").exists() == ("forest.svg" in here) == whole
        assert committed in (evidence / "soft-labels.md").read_text()
        if not whole:
            keep_two_seeds("erasing-20", own)
            code = "import sys; from page import Path, write_repeated; write_repeated('soft-labels', Path(sys.argv[1]))"
            assert python("-c", code, own, folder=evidence).returncode == 0
    assert contents(evidence) == before


def test_what_cannot_be_repeated_is_said_in_a_line(evidence: Path, tmp_path: Path) -> None:
    found = python("repeat.py", "soft-labels", tmp_path / "own", "crops", folder=evidence)
    assert (found.returncode, found.stderr) == (
        1,
        "expected conditions of soft-labels, of erasing-20, crop, got crops\n",
    )


def test_first_order_is_held_against_every_number_of_views() -> None:
    """D(K) less its share of D(8), by seed; the word after Holm, then by how wide the interval is."""
    shown = [row for row in rows("views") if "contrast" in row]
    assert len({tuple(list(row.values())[:4]) for row in shown}) == len(shown) == 16
    told, p_values = [], []
    for row in shown:
        of = {}
        for K in (2, 4, 8):
            prefix = "wrong-labels-" if row["labels"] == "wrong labels" else ""
            condition = f"{prefix}{K}-of-{128 if row['equal'] == 'images' else 512 // K}"
            pairs = zip(*(runs("views", condition, cell) for cell in (row["cell"].strip("`"), "smoothed")), strict=True)
            of[K] = np.array([float((clean_nll(one) - clean_nll(other)).mean()) for one, other in pairs])
        K = int(row["contrast"][2])
        gap = {K: 1 - 1 / K if "log-mean" in row["cell"] else 1.0 for K in of}
        d = of[K] - gap[K] / gap[8] * of[8]
        interval, p = student(d)
        np.testing.assert_allclose(numbers(row["nats"]), interval, atol=1e-3)
        assert numbers(row["mean D(8)"]) == [pytest.approx(of[8].mean(), abs=6e-4)]
        p_values.append(p)
        told.append((row["nats"].partition("] ")[2], np.abs(interval).max() < abs(of[8].mean()) / 4))
    for (word, near), adjusted in zip(told, by_holm(p_values), strict=True):
        assert word == ("disagrees" if adjusted < 0.05 else "near enough" if near else "cannot tell")


def occluded(folder: Path) -> float:
    """Per cent of images, mean over the four shares that are hidden."""
    found = [float(row["error"]) for row in under(folder, "occlusion") if float(row["severity"]) > 0]
    assert len(found) == 4
    return 100 * float(np.mean(found))


def student(d: Sequence[float] | np.ndarray) -> tuple[np.ndarray, float]:
    """Mean, lower and upper end of the 95% interval of differences by seed [S]; and the p-value of a mean of zero."""
    mean, error = np.mean(d), np.std(d, ddof=1) / len(d) ** 0.5
    half = special.stdtrit(len(d) - 1, 0.975) * error
    return mean + np.array([0, -half, half]), float(2 * special.stdtr(len(d) - 1, -abs(mean) / error))


def by_holm(p_values: list[float]) -> list[float]:
    order = np.argsort(p_values)
    stepped = np.maximum.accumulate([p_values[i] * (len(order) - rank) for rank, i in enumerate(order)])
    return [float(stepped[rank]) for rank in np.argsort(order)]


TIED = 0.11
"""Per cent: of 2,000 images, two whose likeliest classes half precision cannot tell apart."""


def mollified_nll(kept: np.lib.npyio.NpzFile) -> np.ndarray:
    return at_label(kept["mollified_log_probabilities"][0], kept["labels"])


def under(folder: Path, kind: str) -> list[dict[str, str]]:
    """The rows of robustness.csv of that kind, means left out."""
    with (folder / "robustness.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["kind"] == kind and (row["severity"] or kind == "human")]


def corrupted_nll(folder: Path) -> float:
    found = [float(row["nll"]) for row in under(folder, "corruption") if row["name"] != "mean"]
    assert len(found) == 15 * 5
    return float(np.mean(found))


def human_nll(folder: Path) -> float:
    [row] = [row for row in under(folder, "human") if row["name"] == "expected"]
    return float(row["nll"])


OF_IMAGES = {"clean NLL": clean_nll, "after temperature scaling": scaled_nll, "mollified NLL": mollified_nll}
OF_RUNS = {"corrupted NLL": corrupted_nll, "NLL of human labels": human_nll}


def test_rates_of_appendix_c_are_those_that_the_pilot_chose() -> None:
    """The least validation NLL of the first pilot seed; the page shows all of them."""
    recipe = tomllib.loads((ROOT / "auglik" / "recipes" / "evidence-appendix-c.toml").read_text())
    with (EVIDENCE / "appendix-c" / "pilot.csv").open() as file:
        pilot = list(csv.DictReader(file))
    shown = {row["cell"].strip("`"): row for row in rows("appendix-c") if "chosen" in row}
    assert list(shown) == [cell["name"] for cell in recipe["cells"]]
    for cell in recipe["cells"]:
        own = {(one["seed"], float(one["learning_rate"])): one for one in pilot if one["cell"] == cell["name"]}
        tried = {rate: float(one["validation_nll"] or "inf") for (seed, rate), one in own.items() if seed == "901"}
        assert cell["learning_rate"] == min(tried, key=lambda rate: tried[rate])
        row, chosen = shown[cell["name"]], own["901", cell["learning_rate"]]
        assert float(row["chosen"]) == cell["learning_rate"]
        assert {float(rate): text for rate, text in row.items() if rate[0].isdigit() and text} == {
            rate: f"{nll:.3f}" if nll < np.inf else "diverged" for rate, nll in tried.items()
        }
        [error], [gap] = numbers(row["clean error"]), numbers(row["confidence less accuracy"])
        assert error == pytest.approx(100 * float(chosen["clean_error"]), abs=0.06)
        assert gap == pytest.approx(float(chosen["clean_confidence_less_accuracy"]), abs=6e-4)
        if "seed 902" in row:
            other = float(own["902", cell["learning_rate"]]["validation_nll"])
            assert float(row["seed 902"]) == pytest.approx(other, abs=6e-4)


def blocks_of(page: str) -> tuple[Path, list[int], list[str], list[int]]:
    """Where a page's runs are kept, the seeds that are there, its cells, the reference first, and the planned seeds."""
    blocks = tomllib.loads((EVIDENCE / page / "blocks.toml").read_text())
    recipe = tomllib.loads((ROOT / "auglik" / "recipes" / f"{blocks['recipe']}.toml").read_text())
    kept, names = EVIDENCE / page / "kept", [cell["name"] for cell in recipe["cells"]]
    seeds = [seed for seed in blocks["seeds"] if (kept / names[0] / f"seed-{seed}").exists()]
    return kept, seeds, names, blocks["seeds"]


def test_the_recipe_of_appendix_c_has_the_seeds_of_its_blocks() -> None:
    recipe = tomllib.loads((ROOT / "auglik" / "recipes" / "evidence-appendix-c.toml").read_text())
    assert recipe["full"]["seeds"] == blocks_of("appendix-c")[3]


RUNNING = {
    "appendix-c": (r"running, (\d) of 5 seeds", 3),
    "appendix-c-long": (r"after sixteen epochs, (\d) of 3 seeds", 1),
}
"""What known.md says of a page whose blocks are not all in, and in how many places."""


@pytest.mark.parametrize("page", RUNNING)
def test_blocks_of_appendix_c_are_told_as_they_are(page: str) -> None:
    """Every seed of every cell that is kept, and no outcome before the last of the planned seeds is in."""
    kept, seeds, (reference, *others), planned = blocks_of(page)
    if page == "appendix-c-long":
        others = ["log-mean", "corrected", "normalized"]
    text = (EVIDENCE / f"{page}.md").read_text()
    if not seeds:
        assert "No block has been run." in text
        return
    pattern, places = RUNNING[page]
    said = re.findall(pattern, (EVIDENCE / "known.md").read_text())
    assert said == [str(len(seeds))] * (places if len(seeds) < len(planned) else 0)
    its_runs_say(page, kept, seeds, (reference, *others), len(planned), OF_RUNS)


def test_all_images_are_told_as_they_are() -> None:
    """The blocks that the machine's time allowed, of four that were planned."""
    page, seeds = "all-images", tomllib.loads((EVIDENCE / "all-images" / "cells.toml").read_text())["seeds"]
    kept = EVIDENCE / page / "kept" / "cifar10"
    assert sorted(path.name for path in kept.glob("*/seed-*")) == sorted(f"seed-{seed}" for seed in seeds * 4)
    assert "190 to 193" in (EVIDENCE / f"{page}.md").read_text()
    its_runs_say(page, kept, seeds, cells(page), 4, {}, enough=3)


def its_runs_say(
    page: str, kept: Path, seeds: list[int], names: Sequence[str], planned: int,
    of_runs: Mapping[str, Callable[[Path], float]], *, enough: int | None = None,
) -> None:  # fmt: skip
    """What a page of cells beside a reference shows: the reference's figures, then a row a cell."""
    text, [reference, *others] = (EVIDENCE / f"{page}.md").read_text(), names
    folders = {cell: [kept / cell / f"seed-{seed}" for seed in seeds] for cell in (reference, *others)}
    of = {cell: [np.load(folder / "predictions.npz") for folder in found] for cell, found in folders.items()}
    told = re.search(r"^(\d) of (\d) (?:planned )?seeds \((.*?)\); (.*)\.$", text, re.MULTILINE)
    assert told is not None
    assert (int(told[1]), int(told[2]), told[3]) == (len(seeds), planned, ", ".join(map(str, seeds)))
    figures = [np.mean([measure(run) for run in of[reference]]) for measure in (wrong, overconfidence)]
    figures += [np.mean([measure(run).mean() for run in of[reference]]) for measure in (clean_nll, mollified_nll)]
    figures += [np.mean([measure(folder) for folder in folders[reference]]) for measure in of_runs.values()]
    assert numbers(told[4]) == [
        pytest.approx(figures[0], abs=TIED),
        *(pytest.approx(one, abs=1e-3) for one in figures[1:]),
    ]
    shown = [row for row in rows(page) if "after temperature scaling" in row]
    assert [row["cell"].strip("`") for row in shown] == others
    for row in shown:
        cell = row["cell"].strip("`")
        assert numbers(row["clean error"]) == [pytest.approx(np.mean([wrong(run) for run in of[cell]]), abs=TIED)]
        assert numbers(row["confidence less accuracy"]) == [
            pytest.approx(np.mean([overconfidence(run) for run in of[cell]]), abs=1e-3)
        ]
        for column in (*OF_IMAGES, *of_runs):
            if column in OF_IMAGES:
                pairs = zip(of[cell], of[reference], strict=True)
                d = [float((OF_IMAGES[column](one) - OF_IMAGES[column](other)).mean()) for one, other in pairs]
            else:
                pairs = zip(folders[cell], folders[reference], strict=True)
                d = [of_runs[column](one) - of_runs[column](other) for one, other in pairs]
            mean, *bounds = numbers(row[column])
            assert mean == pytest.approx(np.mean(d), abs=2e-3 if column == "after temperature scaling" else 6e-4)
            assert len(bounds) == (2 if len(seeds) > 1 else 0)
            if bounds:
                half = student(d)[0][2] - np.mean(d)
                shown_half = (bounds[1] - bounds[0]) / 2  # wider than over seeds alone where images are new too
                assert shown_half >= half - 2e-3
                assert column in OF_IMAGES or shown_half <= half + 2e-3
            outcome = row[column].split()[-1]
            assert (outcome in OUTCOMES) == (len(seeds) >= (enough or planned) and column in OF_IMAGES)
            if outcome in ("better", "worse"):
                assert bounds[0] > 0 if outcome == "worse" else bounds[1] < 0


def test_what_the_length_changed_is_that_of_the_kept_runs() -> None:
    """The differences of all cells after 16 epochs, and less those after 4, by Welch's interval."""
    kept, seeds, (reference, *others), _ = blocks_of("appendix-c-long")
    if not seeds:
        pytest.skip("no block of appendix-c-long has been run")
    short, before, _, _ = blocks_of("appendix-c")
    shown = [row for row in rows("appendix-c-long") if "16 epochs less 4" in row]
    assert [row["cell"].strip("`") for row in shown] == others
    measures: dict[str, Callable[[Path], float]] = {
        "clean NLL": lambda folder: float(clean_nll(np.load(folder / "predictions.npz")).mean()),
        "mollified NLL": lambda folder: float(mollified_nll(np.load(folder / "predictions.npz")).mean()),
        "corrupted NLL": corrupted_nll,
    }

    def differences(folder: Path, cell: str, of: list[int], measure: Callable[[Path], float]) -> np.ndarray:
        one, other = ([measure(folder / name / f"seed-{seed}") for seed in of] for name in (cell, reference))
        return np.array(one) - np.array(other)

    for row in shown:
        cell = row["cell"].strip("`")
        for column, measure in measures.items():
            d = differences(kept, cell, seeds, measure)
            found = student(d)[0] if len(d) > 1 else d
            np.testing.assert_allclose(numbers(row[column]), found, atol=2e-3)
        lengths = (differences(kept, cell, seeds, measures["clean NLL"]),
                   differences(short, cell, before, measures["clean NLL"]))  # fmt: skip
        mean = lengths[0].mean() - lengths[1].mean()
        if len(seeds) == 1:
            np.testing.assert_allclose(numbers(row["16 epochs less 4"]), [mean], atol=1e-3)
            continue
        parts = [d.var(ddof=1) / len(d) for d in lengths]
        freedom = sum(parts) ** 2 / sum(v**2 / (len(d) - 1) for v, d in zip(parts, lengths, strict=True))
        half = special.stdtrit(freedom, 0.975) * sum(parts) ** 0.5
        np.testing.assert_allclose(numbers(row["16 epochs less 4"]), [mean, mean - half, mean + half], atol=2e-3)


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


def wrong_under(folder: Path, categories: set[str]) -> float:
    """Per cent of corrupted images of these categories."""
    found = [row for row in under(folder, "corruption") if row["name"] != "mean" and row["category"] in categories]
    assert len(found) == 5 * sum(category == other for other in OF_CORRUPTIONS for category in categories)
    return 100 * float(np.mean([float(row["error"]) for row in found]))


OF_CORRUPTIONS = ["noise"] * 3 + ["blur"] * 4 + ["weather"] * 3 + ["digital"] * 5


def pairs_of(page: str, row: dict[str, str]) -> tuple[list[Path], list[Path]]:
    """The kept runs of a row's cell and of what it is compared with, by seed."""
    of = tomllib.loads((EVIDENCE / page / "cells.toml").read_text())
    [condition, *_] = conditions = tomllib.loads((EVIDENCE / page / "conditions.toml").read_text())["conditions"]
    reference, [cell, *others] = of["cells"][0]["name"], next(iter(row.values())).strip("`").split(" less ")
    if others:
        [reference] = others
    elif len(conditions) > 1:
        condition, cell = cell.split(", ")
    one, other = (
        [EVIDENCE / page / "kept" / condition / name / f"seed-{seed}" for seed in of["seeds"]]
        for name in (cell, reference)
    )
    return one, other


def wrong_of(folder: Path) -> float:
    return wrong(np.load(folder / "predictions.npz"))


MEASURES: dict[str, tuple[Callable[[Path], float], float]] = {
    "clean error, points": (wrong_of, 0.0),
    "with less without, points": (wrong_of, 0.0),
    "less the reference's, points": (wrong_of, 0.0),
    "corrupted error, points": (partial(wrong_under, categories=set(OF_CORRUPTIONS)), 6e-3),
    "occluded error, points": (occluded, 6e-3),
    **{f"under {one}": (partial(wrong_under, categories={one}), 6e-3) for one in dict.fromkeys(OF_CORRUPTIONS)},
    "corrupted NLL": (corrupted_nll, 6e-4),
}
"""Of a run, by the columns of their differences; and how near these are to what is shown, beside ties."""
FIGURES: dict[str, tuple[bool, Callable[[Path], float]]] = {
    "clean error": (True, wrong_of),
    "of soft": (True, wrong_of),
    "of the other": (False, wrong_of),
    "clean error without": (False, wrong_of),
    "clean error of hard": (False, wrong_of),
    "corrupted error": (True, partial(wrong_under, categories=set(OF_CORRUPTIONS))),
    "corrupted error without": (False, partial(wrong_under, categories=set(OF_CORRUPTIONS))),
}
"""Means over seeds, of the cell or of what it is compared with."""
NLLS = {
    "clean NLL": (clean_nll, 6e-4),
    "NLL as it is": (clean_nll, 6e-4),
    "clean NLL after temperature scaling": (scaled_nll, 2e-3),
    "NLL after temperature scaling": (scaled_nll, 2e-3),
}
TIES = {
    "crops": TIED, "mollification": 0.03, "mollification-natural": TIED, "mollification-settings": 0.03,
    "soft-labels-natural": TIED,
}  # fmt: skip
"""Per cent of clean images, by page: of the 500 of digits half precision leaves none of two classes."""
FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "crops": ("cells", ("clean error, points", "corrupted error, points", "occluded error, points")),
    "mollification": ("augmentation, mollification", ("corrupted error, points",)),
    "mollification-natural": ("augmentation, mollification", ("corrupted error, points", "clean error, points")),
    "mollification-settings": ("cell", ("corrupted error, points",)),
    "soft-labels-natural": ("condition, cell", ("clean error, points",)),
}
"""The first column of a page whose rows are of two cells, and the columns of errors whose rows are a family of Holm."""


@pytest.mark.parametrize("page", FAMILIES)
def test_a_page_of_pairs_says_what_its_runs_do(page: str) -> None:
    first, families = FAMILIES[page]
    shown = [row for row in rows(page) if first in row]
    p_values: dict[str, list[float]] = {column: [] for column in families}
    for row in shown:
        folders = pairs_of(page, row)
        predictions = [[np.load(folder / "predictions.npz") for folder in of] for of in folders]
        for column, text in row.items():
            if column in MEASURES:
                measure, tolerance = MEASURES[column]
                one, other = (np.array([measure(folder) for folder in of]) for of in folders)
                interval, p = student(one - other)
                np.testing.assert_allclose(numbers(text), interval, atol=tolerance or TIES[page])
                if column in families:
                    p_values[column].append(p)
            elif column in NLLS:
                nll, tolerance = NLLS[column]
                mean = np.mean([(nll(one) - nll(other)).mean() for one, other in zip(*predictions, strict=True)])
                assert numbers(text)[0] == pytest.approx(mean, abs=tolerance)
            elif column != first:
                own, figure = FIGURES[column]
                tolerance = TIES[page] if figure is wrong_of else 6e-3
                assert numbers(text) == [
                    pytest.approx(np.mean([figure(folder) for folder in folders[not own]]), abs=tolerance)
                ]
    for column, found in p_values.items():
        for row, adjusted in zip(shown, by_holm(found), strict=True):
            decided = "better" if numbers(row[column])[0] < 0 else "worse"
            assert row[column].endswith(" undecided" if adjusted >= 0.05 else f" {decided}")


@pytest.mark.parametrize("page", FAMILIES)
def test_a_page_of_pairs_has_every_row(page: str) -> None:
    reference, *others = cells(page)
    conditions = list(tomllib.loads((EVIDENCE / page / "conditions.toml").read_text())["conditions"])
    shown = [row[FAMILIES[page][0]].strip("`") for row in rows(page) if FAMILIES[page][0] in row]
    if page == "crops":
        assert shown == [f"{cell} less {one}" for one, cell in combinations((reference, *others), 2)]
    elif len(conditions) == 1:
        assert shown == others
    else:
        assert shown == [f"{one}, {cell}" for one in conditions for cell in others]
    assert sorted(path.name for path in (EVIDENCE / page / "kept").iterdir()) == sorted(conditions)


def test_what_a_larger_erased_area_costs_is_that_of_the_predictions() -> None:
    """Errors at 0.8 of the area less those at 0.2, of the same seeds, with hard and with soft labels."""
    page = "soft-labels-natural"
    of = {
        (area, labels): np.array([wrong(run) for run in runs(page, f"erasing-{area}", labels)])
        for area in (20, 80)
        for labels in cells(page)
    }
    costs = {labels: of[80, labels] - of[20, labels] for labels in cells(page)}
    costs["soft less hard"] = costs["soft"] - costs["hard"]
    shown = {row["labels"]: row["0.8 of the area less 0.2, points"] for row in rows(page) if "labels" in row}
    assert list(shown) == list(costs)
    for labels, text in shown.items():
        interval, p = student(costs[labels])
        np.testing.assert_allclose(numbers(text), interval, atol=2 * TIED)
        if labels == "soft less hard":
            decided = "better" if interval[0] < 0 else "worse"
            assert text.endswith(" undecided" if p >= 0.05 else f" {decided}")

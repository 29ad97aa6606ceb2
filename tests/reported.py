"""A comparison's folder without its training: predictions drawn from known laws, in the files that runs write."""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import special

from auglik import RunConfig, change, open_dataset, read_facts
from auglik.runs.resolved import resolved, settings_hash
from auglik.runs.settings import flatten
from auglik.scoring.conditions import Score, means, write_scores
from auglik.scoring.corruptions import CORRUPTIONS
from auglik.scoring.metrics import marginal_log_likelihood, scores
from auglik.system.files import append_line, json_text, write_csv, write_json, write_npz, write_toml
from auglik.system.records import to_json
from tests import tiny

Array = NDArray[np.floating] | NDArray[np.int64]

N, C, M, F, V = 120, 4, 30, 2, 40

GAINS = {"reference": 1.0, "sharper": 1.6, "same": 1.02}
"""Cells, and what their logits are multiplied by."""


def config(cell: str, seed: int, **changes: object) -> RunConfig:
    """Settings of a run; cells differ in their likelihood."""
    likelihood = {"reference": "smoothed", "sharper": "categorical"}.get(cell, "tempered")
    return change(tiny.config(), {"likelihood": likelihood, "seed": seed, **changes})


@cache
def _digits() -> str:
    """The digest of the training images that runs are said to be of."""
    return read_facts(open_dataset("digits")).digest


def write_run(
    output: Path, cell: str, seed: int, gain: float, *, images: int = 0, settings: RunConfig | None = None
) -> Path:
    """A finished run; `images` chooses the test set, which all cells and seeds share."""
    folder = output / cell / f"seed-{seed}"
    folder.mkdir(parents=True)
    chosen = settings or config(cell, seed)
    of_images, rng = np.random.default_rng(images), np.random.default_rng([images, seed])
    labels, validation = of_images.integers(C, size=N), of_images.integers(C, size=V)
    hardness = of_images.normal(size=(N, 1))

    def predict(targets: Array, *shape: int, hard: Array | float = 0.0) -> NDArray[np.float32]:
        logits = rng.normal(size=(*shape, len(targets), C)) + 1.5 * np.eye(C)[targets] + 0.3 * hard
        return special.log_softmax(gain * logits, axis=-1).astype(np.float32)

    clean, folded, mollified = predict(labels, hard=hardness), predict(labels), predict(labels, F)
    views = np.take_along_axis(predict(labels, M), labels[None, :, None], -1)[..., 0]
    write_npz(
        folder / "predictions.npz",
        log_probabilities=clean,
        labels=labels,
        indices=np.arange(N),
        folded_log_probabilities=folded,
        mollified_log_probabilities=mollified,
        view_log_likelihoods=views,
        validation_log_probabilities=predict(validation),
        validation_labels=validation,
        validation_indices=np.arange(V),
        test_digest=np.array(f"images-{images}"),
        evaluation_views_digest=np.array("views"),
    )
    parts = {
        "clean": (clean, labels),
        "folded": (folded, labels),
        "mollified": (mollified.reshape(-1, C), np.tile(labels, F)),
    }
    found = {f"{part}_{name}": value for part, rows in parts.items() for name, value in scores(*rows)._asdict().items()}
    marginal = marginal_log_likelihood(views)
    write_toml(folder / "config.toml", flatten(chosen))
    for epoch in (1, 2, 3):
        line = {
            "epoch": epoch,
            "validation_nll": 1 / epoch + 0.1 * seed,
            "validation_error": 0.5 / epoch,
        }
        append_line(folder / "metrics.jsonl", json_text(line))
    found |= {
        "marginal_log_likelihood": marginal.plain,
        "marginal_log_likelihood_corrected": marginal.corrected,
        "marginal_monte_carlo_error": marginal.monte_carlo_error,
        "effective_views": marginal.effective_views,
    }
    results = tiny.results(
        cell=cell,
        seed=seed,
        test_digest=f"images-{images}",
        last_epoch_label_entropy=0.25,
        last_epoch_negative_share=0.0,
        validation_images=V,
        settings=settings_hash(resolved(chosen), _digits() if chosen.dataset == "digits" else chosen.dataset),
        **found,
    )
    write_json(folder / "results.json", to_json(results))
    return folder


def write_comparison(output: Path, seeds: int = 3, cells: tuple[str, ...] = tuple(GAINS)) -> Path:
    """Finished runs of every cell, runs.csv and comparison.csv, whose reference is the first cell."""
    for cell in cells:
        for seed in range(seeds):
            write_run(output, cell, seed, GAINS[cell])
    write_csv(output / "runs.csv", [{"cell": cell} for cell in cells], ["cell"])
    rows = [{"cell": cell, "metric": "clean_nll", "reference": cells[0]} for cell in cells[1:]]
    write_csv(output / "comparison.csv", rows, ["cell", "metric", "reference"])
    return output


def robustness_scores(
    folder: Path, shift: float, identity: str = "suite", *, nll_shift: float = 0.0, noise: float = 0.0
) -> list[Score]:
    """Writes scores under every kind of condition, and returns them: errors worse by `shift`, NLLs by `nll_shift`.

    `noise` is the standard deviation of an NLL.
    """
    rng = np.random.default_rng([*folder.parent.name.encode(), *folder.name.encode()])

    def at(kind: str, name: str, category: str, severity: float | None, level: float) -> Score:
        nll = 1 + level + nll_shift + noise * rng.normal()
        covered = None if kind != "occlusion" else 0.95 * float(severity or 0)
        return Score(
            kind=kind, name=name, category=category, severity=severity, error=0.1 + level + shift, nll=nll,
            brier=0.2 + level, ece=0.05 + level, images=100, covered=covered,
        )  # fmt: skip

    conditions = [
        at("corruption", name, category, severity, 0.01 * severity + 0.001 * place)
        for place, (name, category) in enumerate(CORRUPTIONS.items())
        for severity in (1, 3, 5)
    ]
    along = [at("occlusion", "rectangle", "", share, share / 2) for share in (0.0, 0.2, 0.8)]
    along += [at("mollified", role, "", t, t / 3) for role in ("noise", "blur") for t in (0.1, 0.9)]
    human = [at("human", name, "", None, 0.02) for name in ("expected", "excess")]
    found = [at("clean", "clean", "", 0.0, 0.0), *human, *conditions, *along, *means([*conditions, *along])]
    write_scores(folder, found, {"identity": identity, "corruptions": "made-by-test", "test_digest": "images-0"})
    return found

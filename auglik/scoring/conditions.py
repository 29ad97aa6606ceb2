"""Scores of one run under conditions, their means, and the files that keep them."""

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from auglik.objectives import InputError
from auglik.scoring import metrics
from auglik.system.files import write_csv, write_json
from auglik.system.records import read_record

SCORES, MEASURED = "robustness.csv", "robustness.json"
MEAN, ALL = "mean", "all"

Named = tuple[str, str, str, float | None]
"""A condition, or conditions that a mean is over: kind, name, category, severity."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A row of robustness.csv: one condition, or a mean of conditions with equal weights."""

    kind: str
    """clean, corruption, occlusion, mollified or human."""
    name: str
    """The corruption; rectangle; noise or blur; `mean` over corruptions; expected or excess for human labels."""
    category: str
    """noise, blur, weather or digital for corruptions, `all` for means over all of them; else empty."""
    severity: float | None
    """1 to 5 for corruptions, the named share of the area, the temperature t; None for a mean over these."""
    error: float
    nll: float
    brier: float
    ece: float
    images: int
    """How many predictions were scored."""
    covered: float | None = None
    """The share of the area that was really hidden, in whole pixels, of occlusion (its mean in a mean); else None."""

    @property
    def condition(self) -> Named:
        """kind, name, category, severity."""
        return self.kind, self.name, self.category, self.severity


ROBUSTNESS_COLUMNS = tuple(field.name for field in fields(Score))
"""Of robustness.csv."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What is asked of robustness.json, which says more."""

    identity: str
    """Of the conditions: a digest of all that decides them."""
    corruptions: str
    """The name of their set."""
    scores_sha256: str
    """Of robustness.csv."""
    device: str | None = None
    """That they were scored on, by name."""
    versions: Mapping[str, str] | None = None
    """Of the libraries that they were scored with."""


def scored(kind: str, name: str, category: str, severity: float, log_p: npt.ArrayLike, labels: npt.ArrayLike) -> Score:
    """The metrics of log-probabilities [N,C] at labels [N]; the ECE's bins are filled with all N images."""
    found = metrics.scores(log_p, labels)
    return Score(
        kind=kind, name=name, category=category, severity=severity, error=found.error, nll=found.nll,
        brier=found.brier, ece=found.ece, images=len(np.asarray(labels)),
    )  # fmt: skip


def means(scores: Iterable[Score]) -> list[Score]:
    """Means over the severities of every name, and for corruptions by category, by severity and over all.

    A mean of ECEs is the mean over conditions, each an ECE over all its images (Heinonen et al. 2025, Table 2).
    """
    groups: dict[Named, list[Score]] = {}
    for score in scores:
        keys: list[Named] = [(score.kind, score.name, score.category, None)]
        if score.kind == "corruption":
            keys += [(score.kind, MEAN, score.category, None), (score.kind, MEAN, ALL, score.severity)]
            keys += [(score.kind, MEAN, ALL, None)]
        for key in keys:
            groups.setdefault(key, []).append(score)
    ordered = sorted(groups, key=lambda key: (key[1] == MEAN, key[2] == ALL, key[3] is None))
    return [_mean(key, groups[key]) for key in ordered]


def _mean(key: Named, scores: Sequence[Score]) -> Score:
    columns = zip(*((score.error, score.nll, score.brier, score.ece) for score in scores), strict=True)
    error, nll, brier, ece = (sum(column) / len(scores) for column in columns)
    hidden = [score.covered for score in scores if score.covered is not None]
    covered = sum(hidden) / len(hidden) if hidden else None
    kind, name, category, severity = key
    return Score(
        kind=kind, name=name, category=category, severity=severity, error=error, nll=nll, brier=brier, ece=ece,
        images=sum(score.images for score in scores), covered=covered,
    )  # fmt: skip


def write_scores(folder: Path, scores: Sequence[Score], measured: Mapping[str, object]) -> None:
    """robustness.csv, then robustness.json with what was measured and the checksum of the former."""
    write_csv(folder / SCORES, [asdict(score) for score in scores], ROBUSTNESS_COLUMNS)
    checksum = hashlib.sha256((folder / SCORES).read_bytes()).hexdigest()
    write_json(folder / MEASURED, {**measured, "scores_sha256": checksum})


def load_measured(folder: Path) -> Measured | None:
    """What robustness.json says, or None if there is none. Raises InputError for a damaged one."""
    return read_record(Measured, folder / MEASURED, "delete it to measure again")


def load_scores(folder: Path) -> list[Score] | None:
    """The robustness scores of the run in `folder`, or None where none were measured.

    Raises InputError if the files are damaged or do not belong together.
    """
    measured = load_measured(folder)
    if measured is None:
        return None
    path = folder / SCORES
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != measured.scores_sha256:
        got = "other content" if content else "no such file"
        raise InputError(
            f"{path}: expected the scores that {MEASURED} was written with, got {got}; delete {MEASURED}"
            " to measure again"
        )
    try:
        return [_score(row) for row in csv.DictReader(io.StringIO(content.decode()))]
    except (KeyError, ValueError, TypeError):
        raise InputError(
            f"{path}: expected the columns {', '.join(ROBUSTNESS_COLUMNS)}, got others;"
            f" delete {MEASURED} to measure again"
        ) from None


def _score(row: Mapping[str, str]) -> Score:
    severity = float(row["severity"]) if row["severity"] else None
    error, nll, brier, ece = (float(row[name]) for name in ("error", "nll", "brier", "ece"))
    covered = float(row["covered"]) if row.get("covered") else None  # files of earlier versions have no such column
    return Score(
        kind=row["kind"], name=row["name"], category=row["category"], severity=severity, error=error, nll=nll,
        brier=brier, ece=ece, images=int(row["images"]), covered=covered,
    )  # fmt: skip

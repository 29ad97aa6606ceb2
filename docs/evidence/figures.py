"""What a page shows of a comparison: figures of its cells, and their differences over seeds."""

from collections.abc import Callable, Mapping

import numpy as np

from auglik.inference.calibration import scaled
from auglik.inference.calibration.temperature import fit
from auglik.report.collect import Collected
from auglik.report.run_files import Run
from auglik.report.sections.sampled import examined
from auglik.scoring.conditions import ALL, MEAN, Named
from auglik.scoring.corruptions import CORRUPTIONS
from auglik.scoring.intervals import FAMILY_WISE, Interval, holm, p_of, summary
from auglik.scoring.predictions import Predictions
from auglik.system.array_types import Float64Array

Shown = Callable[[Collected], str]


def after_scaling(run: Predictions) -> Predictions:
    """With one temperature for all logits, chosen on the validation images."""
    temperature = fit(run.validation_log_probabilities, run.validation_labels)
    assert temperature is not None, "expected validation images"
    return run._replace(log_probabilities=scaled(run.log_probabilities, temperature).astype(np.float32))


def error(cell: str) -> Shown:
    """The mean over seeds."""
    return lambda one: f"{100 * np.mean(one.cells[cell].scores('clean_error')):.2f}%"


def clean_nll(cell: str) -> Shown:
    """The mean over seeds."""
    return mean_nll(cell, scored("clean_nll"))


def kinetic_temperature(cell: str) -> Shown:
    """Of the chains' steps, with its standard error."""

    def shown(one: Collected) -> str:
        kinetic = examined(one)[cell].kinetic
        return f"{kinetic.mean:.3f} ± {kinetic.error:.3f}"

    return shown


def failing(one: Collected) -> str:
    """Cells whose chains fail a diagnostic."""
    chains = examined(one)
    return f"{sum(bool(cell.failures()) for cell in chains.values())} of {len(chains)}"


def error_difference(cell: str, reference: str) -> Shown:
    """In points, paired by seed, with Student's 95% interval over seeds."""
    return lambda one: points(summary(differences(one, wrong, cell, reference)))


def learning_rate(one: Collected) -> str:
    return f"{one.cells['cell'].config.optimization.learning_rate:g}"


def mean_nll(cell: str, measure: Callable[[Run], float]) -> Shown:
    """Over seeds."""
    return lambda one: f"{np.mean([measure(run) for run in one.cells[cell].runs.values()]):.3f}"


def mean_wrong(cell: str, category: str) -> Shown:
    """Per cent of corrupted images, over seeds."""
    return lambda one: f"{np.mean([wrong_under(category)(run) for run in one.cells[cell].runs.values()]):.2f}%"


def nll_difference(measure: Callable[[Run], float]) -> Shown:
    """In nats, paired by seed, with Student's 95% interval over seeds."""
    return lambda one: nats(over_seeds(one, measure))


def points_difference(measure: Callable[[Run], float]) -> Shown:
    """In points, paired by seed, with Student's 95% interval over seeds."""
    return lambda one: points(over_seeds(one, measure))


def over_seeds(one: Collected, measure: Callable[[Run], float]) -> Interval:
    """Of the cell less the reference."""
    return summary(differences(one, measure))


def differences(
    one: Collected, measure: Callable[[Run], float], cell: str = "cell", reference: str = "reference"
) -> Float64Array:
    """Of the cell less the reference [seed]."""
    own, other = (one.cells[name].runs for name in (cell, reference))
    return np.array([measure(own[seed]) - measure(other[seed]) for seed in own if seed in other])


def nats(found: Interval) -> str:
    return f"{found.mean:+.3f}" + (f" [{found.lower:+.3f}, {found.upper:+.3f}]" if found.n > 1 else "")


def points(found: Interval) -> str:
    return f"{found.mean:+.2f} [{found.lower:+.2f}, {found.upper:+.2f}]"


def judged(kept: Mapping[str, Collected], measure: Callable[[Run], float]) -> dict[str, tuple[Interval, str]]:
    """The difference in every row, and its word by Student's t over seeds after Holm over the rows."""
    found = [over_seeds(one, measure) for one in kept.values()]
    adjusted = holm([p_of(one) for one in found])
    return {
        row: (one, ("better" if one.mean < 0 else "worse") if p < FAMILY_WISE else "undecided")
        for row, one, p in zip(kept, found, adjusted, strict=True)
    }


def scored(name: str) -> Callable[[Run], float]:
    """A figure of results.json."""
    return lambda run: run.results.score(name)


def measured(condition: Named) -> Callable[[Run], float]:
    """NLL of a run from its robustness.csv."""
    return lambda run: next(score.nll for score in run.robustness if score.condition == condition)


def wrong(run: Run) -> float:
    """Per cent of clean images."""
    return 100 * run.results.score("clean_error")


def wrong_where(condition: Named) -> Callable[[Run], float]:
    """Per cent of images under that condition, from a run's robustness.csv."""
    return lambda run: 100 * next(score.error for score in run.robustness if score.condition == condition)


def wrong_under(category: str) -> Callable[[Run], float]:
    """Per cent of images under the corruptions of a category, over their severities."""
    return wrong_where(("corruption", MEAN, category, None))


BY_CATEGORY = {
    f"under {category}": points_difference(wrong_under(category)) for category in dict.fromkeys(CORRUPTIONS.values())
}


CORRUPTED, HUMAN = ("corruption", MEAN, ALL, None), ("human", "expected", "", None)


def under_mollification(run: Predictions) -> Predictions:
    """Its view of every test image that is clean, noised or blurred at random."""
    return run._replace(log_probabilities=run.mollified_log_probabilities[0])


def overconfidence(cell: str) -> Shown:
    """Mean confidence on clean test images less accuracy, over seeds."""

    def shown(one: Collected) -> str:
        gaps = []
        for run in one.cells[cell].runs.values():
            log_p = scaled(run.predictions.log_probabilities, 1.0)
            right = log_p.argmax(axis=1) == run.predictions.labels
            gaps.append(np.exp(log_p.max(axis=1)).mean() - right.mean())
        return f"{np.mean(gaps):+.3f}"

    return shown

"""`auglik confidence --by learned`: an estimator of confidence from class, operation, strength and image features."""

from pathlib import Path

import numpy as np
import rich_click as click

from auglik.cli.crossfitting import Crossfit, Fitted, Folds, named_rightly, shares_by_class
from auglik.cli.progress import bar
from auglik.confidence.estimator import Estimator, Fit, write_estimator
from auglik.confidence_tables.crossfitting import columns_in_turn
from auglik.confidence_tables.learning import FEATURES, Outcomes, features, judge, learn, predicted
from auglik.data import Arrays, take
from auglik.runs.evaluation import clean_log_probabilities
from auglik.system.keys import host_generator
from auglik.views import Gallery

JUDGED = 500
"""At most that many images of a fold say how good its estimator is."""
TOLD = 1.96


def write_learned(asked: Crossfit, folds: Folds, output: Path) -> None:
    """Learns on the validation images of each fold's network, judges on images of the fold, and writes."""
    arrays, C = folds.source.train(), folds.facts.classes
    found = np.empty((len(folds.fold), len(FEATURES)))
    fits, said, right = [], [], []
    for number, one in enumerate(folds.fitted):
        own = np.flatnonzero(folds.fold == number)
        found[own] = features_of(one, take(arrays, own))
        seen = take(one.validation, np.arange(len(one.validation.labels))[: asked.images])
        order = host_generator(folds.seed, "confidence judged", number).permutation(own)
        judged = np.sort(order[: min(asked.images or JUDGED, JUDGED)])
        with bar("measuring") as tell:
            measured = named_rightly(asked.probes, one, seen, tell)
        with bar("judging") as tell:
            outcomes = named_rightly(asked.probes, one, take(arrays, judged), tell)
        of_seen = Outcomes(np.concatenate(list(measured.values())).T, seen.labels, features_of(one, seen))
        fit = learn(of_seen, C, folds.seed)
        fits.append(fit)
        by_class = shares_by_class(asked.probes, measured, seen.labels, C, folds.seed)
        right.append(np.concatenate(list(outcomes.values())).T)
        of_judged = Outcomes(right[-1], arrays.labels[judged], found[judged])
        said.append(others_say(of_seen, of_judged, by_class) | {"learned": predicted(fit, 0, of_judged)})
    whole = Fit(*(np.concatenate(parts) for parts in zip(*fits, strict=True)))
    write_estimator(output, Estimator(
        source=f"an estimator of confidence, of {folds.whose}", dataset=folds.source.name, digest=folds.facts.digest,
        class_names=folds.facts.class_names, operations=columns_in_turn(asked.probes), feature_names=FEATURES,
        fit=whole, fold=folds.fold, label=arrays.labels, features=found,
    ))  # fmt: skip
    summarize(said, np.concatenate(right))
    click.echo(f"wrote {output}, for --soften all:learned:file={output}:relative=true")


def features_of(one: Fitted, images: Arrays) -> np.ndarray:
    """FEATURES [N,5] of images as a network sees them untouched."""
    gallery = Gallery.pack(images.images, one.network.mean, one.network.std, one.device)
    log_p = clean_log_probabilities(one.network.predict, gallery).double().cpu().numpy()
    return features(images.images, log_p, images.labels)


def others_say(seen: Outcomes, judged: Outcomes, by_class: np.ndarray) -> dict[str, np.ndarray]:
    """What is said of the images that are judged [n,S] by one figure for all, by operation and by class."""
    shape, count = judged.right.shape, len(seen.labels)
    return {
        "one figure": np.full(shape, seen.right.mean()),
        "by operation": np.broadcast_to((seen.right.sum(0) + 0.5) / (count + 1), shape),
        "by class": by_class[judged.labels].astype(np.float64),
    }


def summarize(said: list[dict[str, np.ndarray]], right: np.ndarray) -> None:
    """Proper scores of each on images of the folds, and whether the estimator is told better than figures by class."""
    whole = {name: np.concatenate([one[name] for one in said]) for name in said[0]}
    click.echo(
        f"on {len(right)} images that nothing was fitted to, of whose views {right.mean():.3f} were named rightly:"
    )
    click.echo(f"  {'':<12} {'Brier':>7} {'log (nats)':>11} {'mean said':>10}")
    found = {name: judge(p, right, whole["by class"]) for name, p in whole.items()}
    for name, one in found.items():
        click.echo(f"  {name:<12} {one.brier:7.4f} {one.log:11.4f} {one.said:10.3f}")
    above, error = found["learned"].log - found["by class"].log, TOLD * found["learned"].error
    told = "better" if above < -error else "worse" if above > error else "not told from them"
    click.echo(f"  learned less by class: {above:+.4f} ± {error:.4f} nats a view, over images: {told}")
    if above >= -error:
        click.echo("warning: the estimator is no better than figures by class: --by class needs no features of images")

"""All other metrics, exploratory, and the components of the primary endpoint's uncertainty."""

from math import isnan

from auglik.inference.differences.power import CAP, HELD, POWER
from auglik.inference.differences.rows import Inference, Metric, Primary
from auglik.report.content import Row, Section, Shown, Table, bounds, count, interval, number, words
from auglik.scoring.columns import MARGINAL, PART_TITLES, REPORTED, Column
from auglik.scoring.intervals import FAMILY_WISE


def differences(inference: Inference) -> Section:
    """Intervals of every metric, and variance components."""
    by_key = {(row.cell, row.metric): row for row in inference.metrics}
    tables = [_part(inference, by_key, part, title) for part, title in PART_TITLES.items()]
    return Section(
        "differences",
        "Other differences",
        (
            "Exploratory, except clean NLL: paired by seed, for new seeds on these test images; 95% intervals of one "
            "cell and metric, by Student's t. * marks p < 0.05 by Holm over the cells of a metric, not over metrics.",
        ),
        (*tables, _marginal(inference, by_key), _components(inference)),
    )


def _part(inference: Inference, by_key: dict[tuple[str, str], Metric], part: str, title: str) -> Table:
    rows = tuple(
        Row(
            row.cell,
            tuple(_entry(by_key[row.cell, f"{part}_{column.name}"], column) for column in REPORTED),
        )
        for row in inference.primary
    )
    return Table(
        key=f"differences-{part}",
        caption=f"Differences on {title.lower()} [95% intervals]",
        columns=("cell", *(column.title for column in REPORTED)),
        rows=rows,
    )


def _entry(metric: Metric, column: Column) -> Shown:
    starred = metric.p_adjusted <= FAMILY_WISE
    mean, lower, upper = (column.scale * value for value in (metric.mean, metric.lower, metric.upper))
    # The verdicts on the primary endpoint have these digits whatever they say.
    sides = starred or not (metric.exploratory or isnan(metric.p_adjusted))
    digits = column.telling(mean, lower, upper) if sides else column.digits
    shown = interval(mean, lower, upper, digits, mark=" *" if starred else "")
    return Shown(shown.text, (*shown.numbers, ("adjusted p", metric.p_adjusted))) if shown.numbers else shown


def _marginal(inference: Inference, by_key: dict[tuple[str, str], Metric]) -> Table:
    rows = tuple(Row(row.cell, (_entry(by_key[row.cell, MARGINAL.name], MARGINAL),)) for row in inference.primary)
    return Table(
        key="differences-marginal",
        caption="Differences of the bias-corrected marginal log-likelihood [95% intervals]: higher is better",
        columns=("cell", MARGINAL.title),
        rows=rows,
    )


def _components(inference: Inference) -> Table:
    columns = (
        "cell", "seeds", "images", "seed SD", "image SD", "residual SD", "new seeds, 95%", "new images, 95%",
        "seeds to decide",
    )  # fmt: skip
    return Table(
        key="components",
        caption="Sources of uncertainty in the difference of clean NLL: seeds and test images crossed",
        columns=columns,
        rows=tuple(Row(row.cell, _parts(row)) for row in inference.primary),
        note="Standard deviations of a seed's mean, of an image's mean and of the residual, in nats (method of "
        f"moments; 0 where the estimate is negative). The last column: how many seeds in total decide with probability "
        f"{POWER:.0%}, with an {HELD:.0%} interval, which is wide if there are few seeds.",
    )


def _parts(row: Primary) -> tuple[Shown, ...]:
    needed = row.seeds_needed
    more = words("decided" if row.effect and not needed else "")
    if needed is not None:
        ends = (f"{one}" if one else f"more than {CAP}" for one in (needed.lower, needed.upper))
        more = words("more test images" if needed.images_limit > 0.5 else " to ".join(dict.fromkeys(ends)))
    return (
        count(len(row.seeds)),
        count(row.images),
        *(number(sd, 4) for sd in (row.seed_sd, row.image_sd, row.residual_sd)),
        *(bounds(found.lower, found.upper, 4) for found in (row.new_seeds, row.new_images)),
        more,
    )

"""Cells that sampled a posterior: whether their chains can be relied on, and scores against temperature."""

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from auglik.inference.differences.infer import ROPE, primary_differences
from auglik.inference.differences.rows import Primary
from auglik.report.collect import Cell, Collected
from auglik.report.content import Figure, Row, Section, Table, count, listed, mean_error, number, words
from auglik.report.figures.lines import Curve, Panel
from auglik.report.figures.style import styles
from auglik.report.sections.scores import over_seeds
from auglik.report.sections.training import curves_figure
from auglik.runs.settings import flatten
from auglik.sampling.diagnostics import Examined, examine
from auglik.sampling.leave_one_out import FEWEST, MOST_K, SENSITIVE, LeftOut, leave_out
from auglik.scoring.columns import ERROR, NLL
from auglik.scoring.ensembles import score
from auglik.scoring.intervals import summary

MOST_SAID = 4
"""Failing cells that are told of one by one."""
TEMPERATURES = ("posterior_temperature", "likelihood_temperature")


class TemperaturePath(NamedTuple):
    """Cells that differ in one of TEMPERATURES alone, by its value, in order."""

    name: str
    setting: str
    cells: Mapping[float, Cell]


def examined(collected: Collected) -> dict[str, Examined]:
    """The diagnostics of every cell that sampled; seeds are its chains."""
    found = {}
    for name, cell in collected.cells.items():
        chains = [run.chain for run in cell.runs.values() if run.chain is not None]
        predicted = [run.predictions.log_probabilities for run in cell.runs.values()]
        if chains:
            found[name] = examine(cell.config.sampling.posterior_temperature, chains, predicted)
    return found


def images_left_out(collected: Collected) -> dict[str, LeftOut]:
    """What the chains of every cell say of training images that are left out, where `auglik sample` has asked them."""
    found = {}
    for name, cell in collected.cells.items():
        asked = [(run.densities, run.chain) for run in cell.runs.values() if run.densities and run.chain]
        densities, chains = [one for one, _ in asked], [chain for _, chain in asked]
        if asked and len(asked) * min(len(one.log_prior) for one in densities) >= FEWEST:
            one = cell.config.sampling
            found[name] = leave_out(
                densities, chains, T=one.posterior_temperature, likelihood_temperature=one.likelihood_temperature
            )
    return found


def sampling_warnings(chains: Mapping[str, Examined], left_out: Mapping[str, LeftOut]) -> list[str]:
    """Which cells' chains fail, and why; of many, only in how many cells each diagnostic does."""
    failing = {name: why for name, one in chains.items() if (why := one.failures())}
    said = [f"The chains of {name} fail: {'; '.join(why.values())}" for name, why in failing.items()]
    if len(said) > 1:
        kinds = Counter(kind for why in failing.values() for kind in why)
        shared = listed([f"{kind} in {cells}" for kind, cells in kinds.items()])
        head = (
            f"{len(said)} of {len(chains)} cells that sampled fail their diagnostics ({shared}): their scores are not"
            " those of a posterior"
        )
        said = [head, *said] if len(said) <= MOST_SAID else [f"{head}; the table of chains says which"]
    return [*said, *(f"{name}: {text}" for name, one in left_out.items() for text in one.failures())]


def sampled(
    collected: Collected, chains: Mapping[str, Examined], left_out: Mapping[str, LeftOut], rope: float
) -> Section | None:
    """Diagnostics and curves; None if nothing was sampled."""
    if not chains:
        return None
    paths = temperature_paths([collected.cells[name] for name in chains])
    figures = tuple(_figure(setting, own) for setting in TEMPERATURES if (own := _of(paths, setting)))
    failing = {name for name, one in chains.items() if one.failures()}
    sentences = [sentence(path, failing, rope) for path in paths]
    first = (
        f"Each seed is a chain, and predicts with the mean of its draws' probabilities; {len(failing)} of {len(chains)}"
        " cells fail their diagnostics."
    )
    tables = [_table(collected, chains), *([_left_out(left_out)] if left_out else [])]
    return Section("sampled", "Posteriors", (first, *sentences), (*figures, *tables))


def temperature_paths(cells: Sequence[Cell]) -> list[TemperaturePath]:
    """The groups of cells that differ in one temperature alone."""
    found = []
    for setting in TEMPERATURES:
        groups: dict[object, dict[float, Cell]] = {}
        for cell in cells:
            flat = flatten(cell.config)
            rest = tuple((key, value) for key, value in flat.items() if key not in ("seed", "device", setting))
            groups.setdefault(rest, {})[float(str(flat[setting]))] = cell
        for group in groups.values():
            if len(group) > 1:
                ordered = dict(sorted(group.items()))
                plain = group.get(1.0, next(iter(ordered.values())))
                name = re.sub(rf"\+{setting}=[^+]*", "", plain.name, count=1)
                found.append(TemperaturePath(name, setting, ordered))
    return found


def sentence(path: TemperaturePath, failing: Collection[str], rope: float = ROPE) -> str:
    """Which temperature predicts best, and whether it is told from 1 for new seeds and images.

    `failing` cells are no posteriors, and that is said of an effect; `rope` in nats is practically equal.
    """
    means = {T: summary(cell.scores("clean_nll")).mean for T, cell in path.cells.items()}
    finite = {T: mean for T, mean in means.items() if math.isfinite(mean)}
    what = path.setting.replace("_", " ")
    if not finite:
        return f"{path.name}: no finite clean NLL at any {what}."
    best = min(finite, key=lambda T: finite[T])
    against_1 = _outcomes(path, 1.0, rope).get(best) if 1.0 in path.cells else None
    told = {T for T, row in _outcomes(path, best, rope).items() if row.outcome == "worse" and T != 1}
    told |= {1.0} if against_1 is not None and against_1.outcome == "better" else set()
    level = [f"{T:g}" for T in finite if best != T and T not in told]
    span = f"; not told from it: {listed(level)}" if level else ""
    lost = [f"{T:g}" for T in path.cells if T not in finite]
    span += f"; clean NLL is not finite at {listed(lost)}" if lost else ""
    head = f"{path.name}: the best {what} of {listed([f'{T:g}' for T in path.cells])} is {best:g} by clean NLL{span}"
    if 1.0 not in path.cells:
        return f"{head}. T = 1 was not sampled."
    if best == 1.0:
        return f"{head}. No other temperature has a lower mean."
    if against_1 is None:
        return f"{head}; they share no seed with T = 1."
    kind = "cold" if best < 1 else "warm"
    conclusion = {
        "better": f"it differs from 1: a {kind} posterior effect",
        "equal": "it is practically as good as 1",
    }.get(against_1.outcome, "whether it differs from 1 cannot be told")
    if against_1.outcome == "better" and (fails := [T for T in (best, 1.0) if path.cells[T].name in failing]):
        conclusion += f", if chains that fail their diagnostics (at {listed([f'{T:g}' for T in fails])}) can show one"
    return f"{head}; {conclusion}. {against_1.verdict}"


def _outcomes(path: TemperaturePath, reference: float, rope: float) -> dict[float, Primary]:
    """The verdict on every other temperature against one, as one family."""
    names = {cell.name: T for T, cell in path.cells.items()}
    runs = {cell.name: {seed: run.predictions for seed, run in cell.runs.items()} for cell in path.cells.values()}
    rows = primary_differences(runs, dict.fromkeys(runs, path.cells[reference].name), rope=rope)
    return {names[row.cell]: row for row in rows}


def _of(paths: Sequence[TemperaturePath], setting: str) -> list[TemperaturePath]:
    return [path for path in paths if path.setting == setting]


def _figure(setting: str, paths: Sequence[TemperaturePath]) -> Figure:
    panels = [
        Panel(
            title="",
            x_title="log10 T",
            y_title=f"clean {column.label}, {column.unit}",
            curves={path.name: _curve(path, f"clean_{column.name}", column.scale) for path in paths},
        )
        for column in (NLL, ERROR)
    ]
    caption = (
        f"Clean scores against the {setting.replace('_', ' ')} T: means over chains, bars of ± one standard error."
    )
    return curves_figure(f"{setting}s", caption, panels, styles((path.name for path in paths), ()))


def _curve(path: TemperaturePath, name: str, scale: float) -> Curve:
    found = [summary([scale * value for value in cell.scores(name)]) for cell in path.cells.values()]
    return Curve(
        [math.log10(T) for T in path.cells],
        [one.mean for one in found],
        [one.mean - one.standard_error for one in found],
        [one.mean + one.standard_error for one in found],
    )


def _table(collected: Collected, chains: Mapping[str, Examined]) -> Table:
    rows = []
    for name, one in chains.items():
        cell = collected.cells[name]
        members = {seed: run.predictions for seed, run in cell.runs.items()}
        entries = (
            number(one.T, 3),
            number(cell.config.sampling.likelihood_temperature, 3),
            mean_error(one.kinetic.mean, one.kinetic.error, 3),
            mean_error(one.configurational.mean, one.configurational.error, 3),
            number(one.r_hat, 3),
            number(one.ess, 0),
            count(one.chains * one.draws),
            number(100 * one.disagreement, 1),
            number(one.member_nll, 4),
            over_seeds(cell.scores("clean_nll"), 4),
            number(score(name, members).scores["clean_nll"], 4),
            words(listed(list(one.failures())) if one.failures() else ""),
        )
        rows.append(Row(name, entries))
    columns = (
        "cell", "posterior T", "likelihood T", "kinetic T", "configurational T", "R-hat", "ESS", "draws",
        "chains disagree, %", "NLL of a draw", "of a chain", "of all chains",
        "fails",
    )  # fmt: skip
    return Table(
        key="chains",
        caption="Chains: temperatures, mixing in function space, and clean NLL of draws, chains and all chains as one",
        columns=columns,
        rows=tuple(rows),
        note="Both temperatures should be the posterior's. R-hat and effective sample size (ESS) are of the"
        " log-probability of each test image's label, for all but 5% of the images.",
    )


def _left_out(found: Mapping[str, LeftOut]) -> Table:
    rows = []
    for name, one in found.items():
        entries = (
            mean_error(one.elpd, one.error, 4),
            number(one.optimism, 4),
            number(one.k.max(), 2),
            number(100 * one.over(one.most_k), 1),
            number(100 * one.over(MOST_K), 1),
            number(one.prior, 3),
            number(one.likelihood, 3),
            count(one.draws),
        )
        rows.append(Row(name, entries))
    columns = (
        "cell", "PSIS-LOO, nats an image", "more if not left out", "largest Pareto k", "k too large, %",
        f"k > {MOST_K:g}, %", "sensitivity to prior", "to likelihood", "draws",
    )  # fmt: skip
    return Table(
        key="left-out",
        caption="Training images left out (PSIS-LOO) and power-scaling sensitivity",
        columns=columns,
        rows=tuple(rows),
        note=f"Pareto k is too large for so many draws S over 1 - 1 / log10 S, for any over {MOST_K:g}. Sensitivity is"
        f" of the test images' log-probability; over {SENSITIVE:g} is sensitive.",
    )

"""The whole page from what was collected."""

from collections.abc import Callable
from pathlib import Path

from auglik.experiments.differences import plural
from auglik.inference.calibration import Calibration
from auglik.inference.corruption import Corrupted
from auglik.inference.differences.rows import Inference
from auglik.report.collect import Collected
from auglik.report.content import Page, Section, listed
from auglik.report.figures.style import styles
from auglik.report.sections.answer import answer
from auglik.report.sections.calibrated import calibrated, calibration_warnings
from auglik.report.sections.cells import cells, tuning_warning
from auglik.report.sections.differences import differences
from auglik.report.sections.published import published
from auglik.report.sections.robust import robustness
from auglik.report.sections.runs import runs
from auglik.report.sections.sampled import examined, images_left_out, sampled, sampling_warnings
from auglik.report.sections.scores import scores
from auglik.report.sections.seen import seen
from auglik.report.sections.tradeoffs import tradeoffs
from auglik.report.sections.training import training
from auglik.report.sections.views import views
from auglik.report.settings import ReportSettings
from auglik.version import __version__


def page(
    collected: Collected,
    inference: Inference,
    corrupted: Corrupted,
    calibration: Calibration | None,
    settings_: ReportSettings,
) -> Page:
    """All sections in order, the answer first, and all warnings."""
    drawn = styles(collected.cells, collected.references.values())
    chains, left_out = examined(collected), images_left_out(collected)
    parts: list[Callable[[], Section | None]] = [
        lambda: answer(collected, inference, corrupted),
        lambda: sampled(collected, chains, left_out, settings_.rope),
        lambda: tradeoffs(collected, drawn),
        lambda: robustness(collected, drawn, corrupted),
        lambda: calibrated(calibration, drawn) if calibration else None,
        lambda: seen(collected, Path(settings_.data_dir)),
        lambda: training(collected, drawn),
        lambda: views(collected, drawn),
        lambda: cells(collected),
        lambda: scores(collected),
        lambda: differences(inference) if inference.primary else None,
        lambda: published(collected) if settings_.against == "published" else None,
        lambda: runs(collected),
    ]
    sections = tuple(section for part in parts if (section := part()) is not None)
    said = (*sampling_warnings(chains, left_out), *warnings(collected, inference, calibration))
    return Page(settings_.title or title(collected), subtitle(collected), said, sections)


def title(collected: Collected) -> str:
    """Data sets and networks."""
    configs, named = [cell.config for cell in collected.cells.values()], collected.named()
    data = dict.fromkeys(named(config.dataset) for config in configs)
    networks = dict.fromkeys(named(config.network) for config in configs)
    return f"Likelihood ablation: {listed(list(networks))} on {listed(list(data))}"


def subtitle(collected: Collected) -> str:
    """How many cells, runs, seeds and test images."""
    counts = sorted({len(cell.runs) for cell in collected.cells.values()})
    images = sorted({len(run.predictions.labels) for cell in collected.cells.values() for run in cell.runs.values()})
    total = sum(len(cell.runs) for cell in collected.cells.values())
    seeds = f"{f'{counts[0]} to ' * (len(counts) > 1)}{plural(counts[-1], 'seed')} each"
    epochs = sorted({cell.config.epochs or 0 for cell in collected.cells.values()})
    return (
        f"{plural(len(collected.cells), 'cell')}, {plural(total, 'run')}, {seeds}; "
        f"{listed([*epochs[:-1], plural(epochs[-1], 'epoch')])}; "
        f"{' or '.join([*(f'{count:,}' for count in images[:-1]), plural(images[-1], 'test image')])}; "
        f"auglik {__version__}"
    )


def warnings(collected: Collected, inference: Inference, calibration: Calibration | None) -> tuple[str, ...]:
    """Everything that a reader must know before the answer, each item once."""
    said = [*collected.warnings, *inference.warnings]
    said += calibration_warnings(calibration) if calibration else []
    said += [text for text in [tuning_warning(collected)] if text]
    return tuple(dict.fromkeys(said))

"""The report as files: written into a temporary folder first, then moved, the page last."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from auglik.report.settings import ReportSettings
from auglik.system.files import StorageError, ensure_writable, write_csv
from auglik.system.progress import Progress

PAGE, MARKDOWN, CSV, LATEX = "report.html", "report.md", "tables.csv", "tables.tex"
DIFFERENCES, CORRUPTIONS, CALIBRATION = "differences.nc", "corruptions.nc", "calibration.nc"
FIGURES = "figures"
FILES = "files.txt"
"""Lists a report's files, so that the next one can remove those that it does not replace."""


@dataclass(frozen=True)
class Report:
    """The page that was written, and its first lines."""

    page: Path
    files: tuple[Path, ...]
    warnings: tuple[str, ...]
    sentences: tuple[str, ...]
    """The answer: a headline, then one verdict per cell."""


def write_report(
    folder: str | Path,
    output: str | Path,
    settings: ReportSettings | None = None,
    progress: Progress = lambda share: None,
) -> Report:
    """Writes the report of the comparison in `folder` into `output`, replacing an earlier report; other files stay.

    Raises InputError for a folder without a finished run, an unknown reference, and if it cannot write.
    """
    from auglik.report.build import build  # JAX and matplotlib take seconds to import, which --help need not wait for

    folder, output, settings = Path(folder), Path(output), settings or ReportSettings()
    if folder.is_dir():  # to sample for a minute, only to be refused, would be a waste
        ensure_writable(next(path for path in (output, *output.absolute().parents) if path.exists()))
    built = build(folder, settings, progress)
    ensure_writable(output)
    with _staged(output) as stage:
        (stage / FIGURES).mkdir()
        for name, text in built.texts.items():
            (stage / name).write_text(text, encoding="utf-8")
        write_csv(stage / CSV, built.rows, built.columns)
        for name, write in built.trees.items():
            write(stage / name)
        names = sorted(str(path.relative_to(stage)) for path in stage.rglob("*") if path.is_file())
        (stage / FILES).write_text("\n".join([*names, FILES]) + "\n", encoding="utf-8")
        _replace(stage, output, names)
    progress(1.0)
    return Report(
        output / PAGE, tuple(output / name for name in names), built.page.warnings, built.page.sections[0].sentences
    )


def _replace(stage: Path, output: Path, names: list[str]) -> None:
    """Moves the files, the page last, and removes those that only an earlier report listed."""
    listing = output / FILES
    before = listing.read_text(encoding="utf-8").splitlines() if listing.is_file() else []
    for old in set(before) - {*names, FILES}:
        if _is_ours(old):
            (output / old).unlink(missing_ok=True)
    (output / FIGURES).mkdir(exist_ok=True)
    for name in sorted([*names, FILES], key=lambda name: name == PAGE):
        (stage / name).replace(output / name)


def _is_ours(name: str) -> bool:
    """Whether a listed name can be a report's: an edited list must not remove other files."""
    path = Path(name)
    return name in (PAGE, MARKDOWN, CSV, LATEX, DIFFERENCES, CORRUPTIONS, CALIBRATION) or (
        path.parent == Path(FIGURES) and path.suffix == ".svg"
    )


@contextmanager
def _staged(output: Path) -> Iterator[Path]:
    """An empty folder in `output`, removed at the end. Raises StorageError for system errors."""
    stage = output / f".partial-{secrets.token_hex(8)}.tmp"
    try:
        stage.mkdir()
        yield stage
    except OSError as error:
        raise StorageError(f"cannot write the report into {output}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(stage, ignore_errors=True)

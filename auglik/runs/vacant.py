"""Whether a run's folder is free for it: empty, or of the very run."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from auglik.objectives import InputError
from auglik.runs import checkpoint as checkpoints
from auglik.runs.identity import ADDED, MOVABLE
from auglik.runs.results import Results, finished
from auglik.runs.settings import SETTINGS, RunConfig, flatten
from auglik.settings.fields import read_toml
from auglik.system.files import write_toml


def check_vacant(path: Path, settings: str, config: RunConfig, code: Mapping[str, str] | None, resume: bool) -> None:
    """Raises InputError where the folder of `path`, a run's configuration, holds another run or a damaged checkpoint.

    A run is another by its settings or data, of which `settings` is the hash, and `code` the digests of a user's own.
    So files that settings name may move: where results or a checkpoint have the hash, the paths of before say nothing.
    A checkpoint that no run will `resume` from may be damaged.
    """
    folder = path.parent
    results, changed = finished(folder), list[str]()
    if path.exists():
        before, now = saved_before(path), flatten(config)
        other = [key for key in now if before.get(key) != now[key] and key not in MOVABLE]
        if other and not _has_hash(folder, results, settings):
            changed = [f"{key} {before.get(key)}, now {now[key]}" for key in other]
        if not changed and results is not None and results.settings != settings:
            changed = [changed_file(results, config, code)]
    elif results is not None and results.settings != settings:
        changed = [f"{path.name}, which says them, is gone"]
    if changed:
        what = "; ".join(changed[:4])
        raise InputError(f"{folder} holds a run with other settings ({what}): give another --output, or delete it")
    if not resume:
        return
    try:
        checkpoints.find(folder, settings)
    except InputError as error:
        edited = f"; or the code of {', '.join(code)} was edited" if code else ""
        raise InputError(f"{error}{edited}") from None


def saved_before(path: Path) -> dict[str, object]:
    """The settings in a run's config.toml, those that its version lacked at their defaults."""
    return {key: SETTINGS[key].default for key in ADDED} | read_toml(path)


def name_anew(path: Path, config: RunConfig) -> None:
    """Has the config.toml of a finished run, which is that of `config` by its hash, name files where they are now.

    So runs of a cell that were made before and after a file moved say the same; the device stays the run's own.
    """
    with suppress(InputError):  # a damaged one, which whoever reads it tells
        before, now = saved_before(path), flatten(config)
        if any(before.get(key) != now[key] for key in now if key not in ("device", "seed")):
            write_toml(path, {**now, "device": before.get("device", now["device"])})


def _has_hash(folder: Path, results: Results | None, settings: str) -> bool:
    if results is not None:
        return results.settings == settings
    with suppress(InputError):
        return checkpoints.settings_of(folder) == settings
    return False


def changed_file(results: Results, config: RunConfig, code: Mapping[str, str] | None) -> str:
    """What has changed where no setting has: files that settings name."""
    before = results.own_code or {}
    if edited := [name for name, now in (code or {}).items() if before.get(name) != now]:
        return f"the code of {', '.join(edited)} was edited since"
    table = " or its confidence table other values" if "table=" in config.soften else ""
    return f"its data set has other images{table}, or another version of auglik wrote it"

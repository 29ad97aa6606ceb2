"""Whether a run's folder is free for it: empty, or of the very run."""

from auglik.objectives import InputError
from auglik.runs import checkpoint as checkpoints
from auglik.runs.results import RESULTS, finished
from auglik.runs.run import CONFIG, Job
from auglik.runs.settings import ADDED, MOVABLE, SETTINGS, flatten
from auglik.settings.fields import read_toml


def check_vacant(job: Job) -> None:
    """Raises InputError where the job's folder holds a run with other settings or data, or a damaged checkpoint."""
    config = job.folder / CONFIG
    if config.exists():
        before, now = read_toml(config), flatten(job.config)
        before = {key: SETTINGS[key].default for key in ADDED} | before
        other = [key for key in now if before.get(key) != now[key] and key not in MOVABLE]
        changed = [f"{key} {before.get(key)}, now {now[key]}" for key in other]
        if changed or (job.folder / RESULTS).exists():
            what = "; ".join(changed[:4]) or changed_file(job)
            raise InputError(
                f"{job.folder} holds a run with other settings ({what}): give another --output, or delete it"
            )
    try:
        checkpoints.find(job.folder, job.settings)
    except InputError as error:
        edited = f"; or the code of {', '.join(job.code)} was edited" if job.code else ""
        raise InputError(f"{error}{edited}") from None


def changed_file(job: Job) -> str:
    """What has changed where no setting has: files that settings name."""
    results = finished(job.folder)
    before = (results.own_code or {}) if results is not None else {}
    if results is not None and (edited := [name for name, now in (job.code or {}).items() if before.get(name) != now]):
        return f"the code of {', '.join(edited)} was edited since"
    table = " or its confidence table other values" if "measured" in job.config.soften else ""
    return f"its data set has other images{table}, or another version of auglik wrote it"

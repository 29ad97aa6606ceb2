"""`auglik evaluate`: scores finished runs once more from their checkpoints."""

from pathlib import Path

import click

from auglik.config import SETTINGS, RunConfig, change, flatten, read_toml, settings_hash
from auglik.data import open_dataset
from auglik.files import write_json, write_npz
from auglik.prepare import read_facts
from auglik.runs import CONFIG, Job, evaluate_again
from cli.errors import one_line_errors
from cli.options import options
from cli.train import summarize
from objectives import InputError


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--data-dir", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.option("--device", help="Score on another device than the run was trained on.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="Folder for evaluation.json and predictions.npz of each run."
)
@options(setting for setting in SETTINGS.values() if setting.key.startswith("evaluation_"))
@one_line_errors
def evaluate(folders: tuple[Path, ...], data_dir: Path, output: Path | None, **command_line: object) -> None:
    """Scores the finished runs in FOLDERS again; with evaluation options, under another protocol than they were.

    What the runs wrote stays as it is.
    """
    changes = {key: value for key, value in command_line.items() if value is not None}
    for folder in folders:
        if not (folder / CONFIG).is_file():
            raise InputError(f"{folder}: expected the folder of a run, with {CONFIG} and a checkpoint in it")
        trained = change(RunConfig(), read_toml(folder / CONFIG))
        facts = read_facts(open_dataset(trained.dataset, data_dir))
        job = Job(folder.parent.name, trained, settings_hash(trained, facts.digest), folder, data_dir, threads=1)
        config = change(trained, changes)
        scored = evaluate_again(job, config)
        click.echo(f"{folder}")
        summarize(dict(scored.results))
        if output is not None:
            target = output / folder.parent.name / folder.name
            target.mkdir(parents=True, exist_ok=True)
            evaluation = {key: value for key, value in flatten(config).items() if key.startswith("evaluation_")}
            write_npz(target / "predictions.npz", **scored.arrays)
            write_json(target / "evaluation.json", {**scored.results, **evaluation})
            click.echo(f"wrote {target}")

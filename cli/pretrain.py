"""`auglik pretrain`: SimSiam without labels, then probes of its features."""

from dataclasses import asdict, replace
from pathlib import Path

import rich_click as click

from auglik.cli.errors import UserError, one_line_errors
from auglik.cli.options import check_one_way, config_options, given, options, say_config, take, with_default
from auglik.cli.progress import bar
from auglik.cli.train import interrupted_alone
from auglik.experiments.plan import Place
from auglik.objectives import InputError
from auglik.pretraining import PretrainConfig, execute, make_job, threads_of
from auglik.pretraining.results import PretrainResults, finished
from auglik.runs import checkpoint as checkpoints
from auglik.runs.claim import claimed
from auglik.runs.loop import NonFiniteLossError
from auglik.settings.fields import settings_of
from auglik.settings.groups import Group
from auglik.settings.names import nearest
from auglik.system.paths import IN_A_RUN, check_folder
from auglik.system.process import process_state
from auglik.system.stop import Interrupted, stop_on_signals

PRETRAINED = "results/pretrained"
"""The default folder: beside the runs of comparisons, whose cells are folders of seeds."""


@click.command()
@options(settings_of(PretrainConfig))
@options(with_default((one for one in settings_of(Place) if one.key not in ("resume", "jobs")), "output", PRETRAINED))
@click.option("--resume", is_flag=True, help="Continue the interrupted run from its checkpoint.", panel=Group.COMMAND)
@click.option("--restart", is_flag=True, help="Start the interrupted run over.", panel=Group.COMMAND)
@config_options
@one_line_errors
def pretrain(config_file: Path | None, print_config: bool, resume: bool, restart: bool, **command_line: object) -> None:
    """Pretrains a network with SimSiam on pairs of crops, in OUTPUT, and probes its features.

    --soften weights a pair by the overlap of its crops: sa1 trusts overlapping crops, sa2 distrusts identical ones.
    """
    check_one_way(resume, restart)
    values = given(config_file, command_line)
    values.setdefault("output", PRETRAINED)
    place, config = take(values, Place), take(values, PretrainConfig)
    for key in values:
        known = [setting.key for kind in (Place, PretrainConfig) for setting in settings_of(kind)]
        raise InputError(f"unknown setting {key!r}{nearest(key, known)}")
    if print_config:
        return say_config(asdict(place), config.flat())
    check_folder(Path(place.output), IN_A_RUN)
    job = make_job(
        config, Path(place.output), Path(place.data_dir),
        threads=1, download=place.download, tensorboard=place.tensorboard, resume=not restart,
    )  # fmt: skip
    job = replace(job, threads=job.run.shared.threads(place.threads))
    before = finished(job.folder)
    if before is not None:
        click.echo(f"{job.folder} already holds this run, finished:")
        return summarize(before)
    if (job.folder / checkpoints.NAME).exists() and not (resume or restart):
        raise InputError(f"{job.folder} holds this run, interrupted: --resume continues it, --restart starts over")
    try:
        state = process_state(threads_of(job), job.run.shared.device)
        with claimed(job.folder), state, stop_on_signals() as stop, bar("pretraining") as progress:
            results = execute(job, stop=stop, progress=progress)
    except Interrupted:
        click.echo(interrupted_alone(job.folder, restart))
        raise SystemExit(128 + (stop.signal or 0)) from None
    except NonFiniteLossError as error:
        raise UserError(str(error)) from None
    summarize(results)
    click.echo(f"wrote {job.folder}")


def summarize(results: PretrainResults) -> None:
    """The features' scores, next to those of the untrained network."""
    for name, label in (("knn_accuracy", "neighbours"), ("linear_accuracy", "linear")):
        click.echo(f"  {label:<12}test accuracy {results.scores[name]:.4f} (untrained {results.untrained[name]:.4f})")
    last = results.last_epoch
    click.echo(f"  pairs       weight {last['pair_weight']:.4f}, IoU {last['pair_iou']:.4f}")
    click.echo(
        f"  output      std {last['output_std']:.4f}; 0 means collapse, {results.projection**-0.5:.4f} means none"
    )

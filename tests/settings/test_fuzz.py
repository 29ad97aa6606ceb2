"""Every option of every command with huge, tiny, negative, empty, odd and non-finite values: used, or refused.

Settings are tried where the command line makes them, without click, as there are many; the rest through the
commands, whose work is replaced.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from auglik import RunConfig, change, open_dataset, read_facts, resolve
from auglik.cli.main import COMMANDS, auglik
from auglik.experiments.plan import Place
from auglik.networks import NETWORKS
from auglik.objectives import AGGREGATORS, LIKELIHOODS, InputError
from auglik.pretraining import PretrainConfig
from auglik.pretraining.config import resolve as resolve_pretraining
from auglik.report import ReportSettings
from auglik.robustness import RobustnessConfig
from auglik.runs.resolve import training_pipeline
from auglik.runs.settings import SETTINGS
from auglik.settings.fields import Setting, in_type, settings_of
from auglik.settings.names import parameters
from tests.tiny import options

NUMBERS = (
    0, 1, -1, 2, 10**9, 10**12, 10**18, 10**30, -(10**400), 0.0, -0.0, 5e-324, 1e300, float("inf"), -float("inf"),
    float("nan"), 0.5,
)  # fmt: skip
TEXTS = (
    "", " ", ",", ":", "=", "a:b=c", "nan", "x" * 3000, "\u0663", "a\nb", "\udcff", "a\0b", "..", "none,none", "fcr:",
    "noise,", "all:", "-",
)  # fmt: skip
WRITTEN = (
    "",
    " ",
    "0",
    "-1",
    "-0",
    "1e400",
    "nan",
    "inf",
    "9" * 20,
    "9" * 5000,
    "\u0663",
    "1,1",
    "x",
    "a:b=c",
    "\udcff",
)
"""On the command line, where all is text."""

SOURCE = open_dataset("digits")
FACTS = read_facts(SOURCE)


def resolved(changes: Mapping[str, object]) -> None:
    config = resolve(change(RunConfig(), changes), SOURCE, FACTS)
    assert training_pipeline(config, FACTS.shape(), FACTS.classes).describe()


def taken_or_refused(use: Callable[[], object]) -> None:
    with suppress(InputError):
        use()


def values_of(setting: Setting) -> tuple[object, ...]:
    return TEXTS if setting.type is str else NUMBERS if setting.type is not bool else ()


@pytest.mark.parametrize("key", SETTINGS)
def test_settings_of_a_run(key: str) -> None:
    for value in values_of(SETTINGS[key]):
        taken_or_refused(lambda value=value: resolved({key: value}))  # type: ignore[misc]


@pytest.mark.parametrize("kind", [Place, PretrainConfig, ReportSettings, RobustnessConfig])
def test_settings_of_places_pretraining_reports_and_robustness(kind: type) -> None:
    def use(setting: Setting, value: object) -> None:
        config = kind(**{setting.key: in_type(setting, value)})
        if isinstance(config, PretrainConfig):
            resolve_pretraining(config, SOURCE, FACTS)

    for setting in settings_of(kind):
        for value in values_of(setting):
            taken_or_refused(lambda setting=setting, value=value: use(setting, value))  # type: ignore[misc]


NAMED = {"likelihood": LIKELIHOODS, "aggregator": AGGREGATORS, "network": {"small-cnn": NETWORKS["small-cnn"]}}


@pytest.mark.parametrize("key", NAMED)
def test_parameters_in_names(key: str) -> None:
    for name, entry in NAMED[key].items():  # type: ignore[attr-defined]
        for parameter in parameters(entry):
            for text in WRITTEN:
                setting = {key: f"{name}:{parameter}={text}"}
                taken_or_refused(lambda setting=setting: resolved(setting))  # type: ignore[misc]


@pytest.mark.parametrize("key", ["views", "evaluation_views"])
def test_memory_is_asked_before_it_is_taken(key: str) -> None:
    with pytest.raises(InputError, match="GiB at least"):
        resolved({key: 10**9})


def test_a_depth_that_nobody_waits_for_is_refused() -> None:
    with pytest.raises(InputError, match="depth of at most 2,000, got 10,000"):
        resolved({"network": "densenet-40:depth=10000"})


OWN = {
    command.name: [option for option in command.params if isinstance(option, click.Option)]
    for command in (deferred.load() for deferred in COMMANDS)
}
"""The options of every command."""
BEGINNINGS: Mapping[str, tuple[str, ...]] = {
    "compare": ("--dry-run", *options(), "--likelihood", "smoothed"),
    "reproduce": ("appendix-c", "--scale", "quick", "--dry-run"),
    "verify": ("normalizer",),
    "confidence": ("--measure", "ncc"),
    "report": ("nowhere",),
    "robustness": ("nowhere",),
    "evaluate": ("nowhere",),
}


class _WorkBegan(Exception):  # noqa: N818 - it is no error
    pass


def _stop(*arguments: object, **options: object) -> object:
    raise _WorkBegan


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The commands' work replaced by an exception, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for work in (
        "auglik.recipes.cost.estimate", "auglik.cli.train.carry_out", "auglik.cli.sample.carry_out",
        "auglik.cli.sample.prior_predictive", "auglik.cli.pretrain.execute", "auglik.cli.confidence.measure",
        "auglik.cli.confidence.train", "auglik.studies.verify.run", "auglik.report.contact_sheet.contact_sheet",
    ):  # fmt: skip
        monkeypatch.setattr(work, _stop)


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize("command", OWN)
def test_options_of_the_commands(command: str) -> None:
    own = [option for option in OWN[command] if option.name not in SETTINGS and not option.is_flag]
    kinds = (Place, PretrainConfig, ReportSettings, RobustnessConfig)
    settings = {setting.key for kind in kinds for setting in settings_of(kind)}
    for option in own:
        if option.name in settings and not (command == "compare" and option.name in ("threads", "jobs")):
            continue  # above
        for text in WRITTEN:
            arguments = [command, *BEGINNINGS.get(command, ()), option.opts[0], text]
            result = CliRunner().invoke(auglik, arguments, standalone_mode=False)
            exception = result.exception
            refused = isinstance(exception, click.ClickException) and exception.exit_code == 2
            fine = exception is None or refused or isinstance(exception, _WorkBegan)
            assert fine, (arguments, exception)

"""What the command line says of itself: groups of options, colour, narrow terminals, completion, --print-config."""

import itertools
import os
import pty
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from auglik import AGGREGATORS, LIKELIHOODS, NETWORKS, RunConfig
from auglik.cli import compare as compare_module
from auglik.cli.engines import NAMES as ENGINE_NAMES
from auglik.cli.main import COMMANDS, auglik
from auglik.cli.verify import NAMES as STUDIES
from auglik.experiments.engines.named import ENGINES
from auglik.experiments.plan import Place
from auglik.pretraining import PretrainConfig
from auglik.recipes import recipe_names
from auglik.report import ReportSettings
from auglik.robustness import RobustnessConfig
from auglik.runs.settings import SETTINGS
from auglik.settings.fields import settings_of
from auglik.settings.groups import Group

LOADED = {str(command.name): command.load() for command in COMMANDS}
ESCAPE = "\x1b"


def help_of(*arguments: str, width: int = 80) -> str:
    result = CliRunner().invoke(auglik, [*arguments, "--help"], env={"COLUMNS": str(width)})
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("name", LOADED)
def test_every_option_is_in_a_group(name: str) -> None:
    options = [param for param in LOADED[name].params if isinstance(param, click.Option)]
    groups = [getattr(option, "panel", None) for option in options]
    assert all(group in list(Group) for group in groups), [
        option.name for option, group in zip(options, groups, strict=True) if group not in list(Group)
    ]
    shown = [line.strip() for line in help_of(name).splitlines() if line.strip() in list(Group)]
    assert shown == [group for group in Group if group in groups or group is Group.COMMAND]


@pytest.mark.parametrize("name", LOADED)
def test_help_says_the_range_of_every_number_that_has_one(name: str) -> None:
    text = " ".join(help_of(name, width=400).split())
    assert "RANGE" not in text
    for param in LOADED[name].params:
        if isinstance(param.type, click.IntRange | click.FloatRange) and not getattr(param, "count", False):
            assert f"{param.type.min}<=x<={param.type.max}" in text, param.name


def test_evaluation_stands_apart() -> None:
    for setting in SETTINGS.values():
        assert (setting.group is Group.EVALUATION) == setting.key.startswith("evaluation_")


@pytest.mark.parametrize("config", [RunConfig, Place, PretrainConfig, ReportSettings, RobustnessConfig])
def test_what_a_setting_knows_is_what_it_takes(config: type) -> None:
    """The default is among the names; a choice that is not known would be refused."""
    for setting in settings_of(config):
        if isinstance(setting.default, str) and (known := setting.choices or setting.names):
            assert {part.partition(":")[0] for part in setting.default.split(",")} <= set(known)


@pytest.mark.parametrize("name", LOADED)
def test_a_command_is_told_as_it_tells_itself(name: str) -> None:
    assert LOADED[name].name == name
    assert name in help_of()


def test_help_of_the_program_waits_for_no_library() -> None:
    code = "import sys; from auglik.cli.main import auglik; auglik(['--help'], standalone_mode=False)"
    code += "; print(sorted({'torch', 'numpy', 'jax', 'matplotlib'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_a_report_waits_for_no_compiler() -> None:
    """torch._dynamo takes over a second and 100 MB, of which a report would use nothing."""
    code = "import sys, auglik.report.build, auglik.cli.compare; print({'torch', 'torch._dynamo'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "{'torch'}\n"


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("name", ["compare", "reproduce"])
def test_narrow_terminals(name: str, width: int) -> None:
    """No line is wider than the terminal, and no letter of an option is lost."""
    text = help_of(name, width=width)
    assert max(map(len, text.splitlines())) <= width
    names = "".join(line[2:].partition("  ")[0] for line in text.splitlines())
    for option in LOADED[name].params:
        if isinstance(option, click.Option):
            assert option.opts[0] in names


def on_a_terminal(environment: dict[str, str]) -> str:
    """The help as a terminal gets it."""
    main, other = pty.openpty()
    code = "from auglik.cli.main import main; import sys; sys.argv = ['auglik', '--help']; main()"
    clean = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    with subprocess.Popen([sys.executable, "-c", code], stdout=other, env=clean | environment) as process:
        os.close(other)
        said = b""
        while True:
            try:
                part = os.read(main, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not part:
                break
            said += part
    os.close(main)
    assert process.returncode == 0
    return said.decode()


COLOUR = re.compile(ESCAPE + r"\[(?:\d+;)*(?:3[0-7]|38|9[0-7])(?:;\d+)*m")


def test_colour_is_for_terminals_that_want_it() -> None:
    assert COLOUR.search(on_a_terminal({"TERM": "xterm-256color"}))
    assert not COLOUR.search(on_a_terminal({"TERM": "xterm-256color", "NO_COLOR": "1"}))


@pytest.mark.parametrize("environment", [{}, {"GITHUB_ACTIONS": "true"}, {"NO_COLOR": "1"}])
def test_no_escape_codes_in_pipes(environment: dict[str, str]) -> None:
    code = "from auglik.cli.main import main; import sys; sys.argv = ['auglik', '--help']; main()"
    clean = {key: value for key, value in os.environ.items() if key != "FORCE_COLOR"}
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=clean | environment, check=True
    ).stdout.decode()
    assert "compare" in out
    assert ESCAPE not in out


def completed(*words: str) -> set[str]:
    """What a shell offers for the last word."""
    *before, last = words
    offered = BashComplete(auglik, {}, "auglik", "_AUGLIK_COMPLETE").get_completions(before, last)
    return {item.value for item in offered}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("com",), {"compare"}),
        (("compare", "--evaluation-fo"), {"--evaluation-folded-views"}),
        (("compare", "--likelihood", ""), set(LIKELIHOODS)),
        (("train", "--aggregator", "geo"), {name for name in AGGREGATORS if name.startswith("geo")}),
        (("views", "--augment", "fcr,cut"), {"fcr,cutmix", "fcr,cutout"}),
        (("pretrain", "--network", "res"), {name for name in NETWORKS if name.startswith("res")}),
        (("compare", "--budget", ""), {"images", "views"}),
        (("evaluate", "nowhere", "--evaluation-mollify", "noise,b"), {"noise,blur", "noise,both"}),
        (("verify", ""), set(STUDIES)),
        (("verify", "sampling", "orb"), {"orbit"}),
        (("reproduce", ""), set(recipe_names())),
        (("reproduce", "appendix-c", "--scale", ""), {"full", "quick"}),
        (("reproduce", "appendix-c", "--protocol", ""), {"text", "code"}),
        (("reproduce", "appendix-c", "--set", "evaluation_fo"), {"evaluation_folded_views="}),
        *(((command, "--engine", ""), set(ENGINES)) for command in ("compare", "reproduce", "verify")),
        (("robustness", "nowhere", "--engine", "s"), {"slurm"}),
        (("compare", "--tune", "learning"), {"learning_rate="}),
        (("compare", "--tune", "se"), set()),
        (("confidence", "--operations", "identity,rota"), {"identity,rotate"}),
        (("confidence", "--measure", "acc"), {"accuracy"}),
    ],
)
def test_completion(words: tuple[str, ...], expected: set[str]) -> None:
    assert completed(*words) == expected


def test_the_engines_that_are_offered_are_those_there_are() -> None:
    assert tuple(ENGINES) == ENGINE_NAMES


CELLS = """
views = [2, 4]
reference = "one"
seeds = [3]
[[cells]]
name = "one"
learning-rate = 0.1
[[cells]]
name = "two"
likelihood = "focal"
"""
COMPARISONS: Mapping[str, tuple[str, ...]] = {
    "the main job": (),
    "a product": ("--likelihood", "smoothed", "--likelihood", "focal:focus=1", "--aggregator", "geometric:T=2"),
    "an aggregator": ("--aggregator", "log-mean", "--seed", "7"),
    "factors": ("--views", "2", "--views", "4", "--flip", "0.5", "--seeds", "7,9", "--reference", "both"),
    "data sets": ("--dataset", "digits", "--dataset", "mnist", "--epochs", "1", "--jobs", "2", "--no-report"),
    "tuning": ("--tune", "learning_rate=0.1,0.2", "--tune-seeds", "3", "--fail-fast"),
    "a file": ("--config", "cells.toml"),
    "a file and more": ("--config", "cells.toml", "--likelihood", "sink", "--epochs", "3", "--seeds", "2"),
}


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(auglik, [*arguments, "--print-config"])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("name", COMPARISONS)
def test_a_printed_comparison_is_the_same_comparison(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cells.toml").write_text(CELLS)
    planned: list[tuple[object, ...]] = []

    def keep(*arguments: object, **named: object) -> object:
        planned.append((*arguments, named))
        raise SystemExit(0)

    for work in ("make_plan", "tune_cells"):
        monkeypatch.setattr(compare_module, work, keep)
    Path("printed.toml").write_text(printed("compare", *COMPARISONS[name]))
    for arguments in (COMPARISONS[name], ("--config", "printed.toml")):
        assert CliRunner().invoke(auglik, ["compare", *arguments]).exit_code == 0
    assert planned[0] == planned[1]
    assert printed("compare", "--config", "printed.toml") == Path("printed.toml").read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--views", "2", "--seed", "3", "--output", "here", "--no-nesterov"),
        ("pretrain", "--soften", "sa1:k=4", "--epochs", "2"),
        ("views", "--augment", "fcr,cutout", "--flip", "0.25"),
        ("confidence", "--epochs", "2"),
        ("confidence", "--measure", "ncc", "--train-images", "100"),
    ],
)
def test_a_printed_command_is_the_same_command(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = printed(*arguments)
    Path("printed.toml").write_text(text)
    chosen = arguments[:3] if "--measure" in arguments else arguments[:1]
    assert printed(*chosen, "--config", "printed.toml") == text
    values = tomllib.loads(text)
    for option, value in itertools.pairwise(arguments):
        if option.startswith("--") and not value.startswith("--") and option != "--measure":
            assert str(values[option.removeprefix("--").replace("-", "_")]) == value
    assert [path.name for path in tmp_path.iterdir()] == ["printed.toml"]

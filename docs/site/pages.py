"""The pages that are made of the code: commands, names and the API. mkdocs-gen-files runs it when the site is built."""

import ast
import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path

import click
import mkdocs_gen_files

import auglik
from auglik.cli.main import COMMANDS
from auglik.cli.main import auglik as program
from auglik.confidence import MAPS
from auglik.objectives import AGGREGATORS, LIKELIHOODS
from auglik.sampling.registry import PRIORS, SAMPLERS, STEP_SIZES
from auglik.settings.names import parameters


def escaped(text: str) -> str:
    """Text as a table's cell."""
    for letter in "\\|*_<[":
        text = text.replace(letter, f"&#{ord(letter)};")
    return text


def code(text: str) -> str:
    return f"<code>{escaped(text)}</code>"


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    columns = list(columns)
    lines = [columns, ["---"] * len(columns), *map(list, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def spelled(option: click.Option) -> str:
    """An option as it is typed, with its value's kind."""
    names = " / ".join((*option.opts, *option.secondary_opts))
    if option.is_flag:
        return names
    context = click.Context(click.Command("none"))
    return f"{names} {option.make_metavar(context)}"


def meaning(option: click.Option) -> str:
    """What `--help` says, its default too."""
    shown = f" [default: {option.default}]" if option.show_default and not option.is_flag else ""
    return (option.help or "") + shown


def of_command(command: click.Command) -> str:
    """One command: what it does, then its options under the headings of `--help`."""
    usage = " ".join(command.collect_usage_pieces(click.Context(command)))
    parts = [
        f"## auglik {command.name}",
        f"```text\nauglik {command.name} {usage}\n```",
        inspect.cleandoc(command.help or ""),
    ]
    groups: dict[str, list[click.Option]] = {}
    for param in command.params:
        if isinstance(param, click.Option):
            groups.setdefault(str(getattr(param, "panel", "Options")), []).append(param)
    for group, options in groups.items():
        parts.append(f"**{group}**")
        parts.append(table(("option", "meaning"), ((code(spelled(item)), escaped(meaning(item))) for item in options)))
    return "\n\n".join(parts)


def commands() -> str:
    head = (
        "# Commands\n\nThis page is made of the commands' own options, which `auglik COMMAND --help` shows too. Options"
        " are settings by the same names in a `--config` file, with underscores for hyphens; `--print-config` prints"
        " such a file.\n\n## Completion\n\nA shell completes commands, options and the names of objectives, networks,"
        " data sets and augmentations once it has run one of these lines, in its start-up file for good:\n\n```sh\n"
        'eval "$(_AUGLIK_COMPLETE=bash_source auglik)"  # ~/.bashrc\n'
        'eval "$(_AUGLIK_COMPLETE=zsh_source auglik)"   # ~/.zshrc\n'
        "_AUGLIK_COMPLETE=fish_source auglik | source   # ~/.config/fish/completions/auglik.fish\n```"
    )
    return "\n\n".join((head, *(of_command(deferred.load()) for deferred in COMMANDS))) + "\n"


def formulas(kind: str, entries: Mapping[str, object]) -> str:
    rows = []
    for name, entry in entries.items():
        defaults = ", ".join(f"{key}={value}" for key, value in parameters(entry).items())
        formula, source = (escaped(str(getattr(entry, key))) for key in ("formula", "source"))
        rows.append((code(name), formula, code(defaults) if defaults else "", source))
    return table((kind, "formula", "parameters", "source"), rows)


def listed(kind: str, entries: Mapping[str, object]) -> str:
    rows = []
    for name, entry in entries.items():
        defaults = ", ".join(f"{key}={value}" for key, value in parameters(entry).items())
        rows.append((code(name), code(defaults) if defaults else ""))
    return table((kind, "parameters and their defaults"), rows)


def names() -> str:
    return "\n\n".join(
        (
            "# Names",
            "What the command line, a configuration file and Python know by name. Parameters follow a colon:"
            " `geometric:T=2`, `rand-augment:magnitude=12`.",
            "## Likelihoods\n\nA likelihood turns logits and decay into a table, log p(label j | view);"
            " f = softmax(logits), gamma is the decay.",
            formulas("likelihood", LIKELIHOODS),
            "## Aggregators\n\nAn aggregator folds the tables of an image's views; l_k is the table's entry of view k,"
            " omega_k its share of the weights.",
            formulas("aggregator", AGGREGATORS),
            "## Data sets",
            listed("data set", auglik.DATASETS),
            "## Networks",
            listed("network", auglik.NETWORKS),
            "`torchvision:NAME` and, with the extra `timm`, `timm:NAME` are the networks of those libraries.",
            "## Samplers, priors and step sizes",
            listed("sampler", SAMPLERS),
            listed("prior", PRIORS),
            listed("step sizes", STEP_SIZES),
            "## Augmentations",
            listed("augmentation", {**auglik.MIXINGS, **auglik.AUGMENTATIONS}),
            "## Confidence maps",
            listed("map", MAPS),
        )
    )


def api() -> str:
    """Every public name, under the module that it comes from."""
    stub = ast.parse(Path(auglik.__file__).with_suffix(".pyi").read_text())
    parts = ["# API", "All of these are imported from `auglik` itself: `from auglik import Objective, LIKELIHOODS`."]
    for node in stub.body:
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module != "version":
            parts.append(f"## {node.module}")
            parts += [f"::: auglik.{node.module}.{alias.name}" for alias in node.names]
    for kind, entries in (("likelihoods", LIKELIHOODS), ("aggregators", AGGREGATORS)):
        parts.append(f"## The {kind}")
        parts += [
            f"::: {module}.{name}"
            for module, name in dict.fromkeys(
                (type(entry).__module__, type(entry).__name__) for entry in entries.values()
            )
        ]
    return "\n\n".join(parts) + "\n"


assert program.commands.keys() == {deferred.name for deferred in COMMANDS}
for path, text in {"COMMANDS.md": commands(), "NAMES.md": names(), "API.md": api()}.items():
    with mkdocs_gen_files.open(path, "w") as file:
        file.write(text)

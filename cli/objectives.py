"""`auglik objectives`: the likelihoods and aggregators, with formula and source."""

import rich_click as click

from auglik.cli.errors import one_line_errors
from auglik.objectives import Aggregator, InputError, Likelihood
from auglik.objectives.view_counts import DrawsViews
from auglik.settings.names import parameters
from auglik.settings.objectives import AGGREGATOR_NAMES, LIKELIHOOD_NAMES
from auglik.settings.registry import Registry, value_named


@click.command()
@one_line_errors
def objectives() -> None:
    """Lists likelihoods and aggregators with formula and source, installed plug-ins last."""
    click.echo("Likelihoods: a table of log p(label j | view) from f = softmax(logits) and the decay gamma\n")
    _list(LIKELIHOOD_NAMES, "table")
    click.echo("Aggregators: fold the views k of an image, l_k the table's entries, omega_k the views' shares\n")
    _list(AGGREGATOR_NAMES, "fold")
    click.echo("Parameters are part of the name: geometric:T=2, power-mean:rho=0.5, noisy-dirichlet:alpha_eps=0.01")


def _list(registry: Registry[Likelihood] | Registry[Aggregator], sign: str) -> None:
    """`sign`: the member that tells an installed plug-in of this kind from one of the other."""
    for name in (*registry.built_in, *registry.plug_ins()):
        try:
            if name not in registry.built_in and not hasattr(value_named(name, [registry.group]), sign):
                continue
            entry: Likelihood | Aggregator = registry.parse(name)
        except InputError as error:
            click.echo(f"  {name}\n      {error}\n")
            continue
        defaults = ", ".join(f"{key}={value}" for key, value in parameters(entry).items())
        click.echo(f"  {name}" + (f"   ({defaults})" if defaults else ""))
        click.echo(f"      {entry.formula}")
        click.echo(f"      {entry.source}")
        for fact in _facts(entry):
            click.echo(f"      {fact}")
        click.echo()


def _facts(entry: Likelihood | Aggregator) -> list[str]:
    fewest = getattr(entry, "minimum_views", 1)
    facts = {
        "labels [B] only, no soft labels": getattr(entry, "soft_labels", True) is False,
        "the network has an extra output": getattr(entry, "extra_outputs", 0) > 0,
        f"needs K >= {fewest} views": fewest > 1,
        "of each image a random number of views, at most K": isinstance(entry, DrawsViews),
        "for studies and evaluation, not training": getattr(entry, "trains", True) is False,
    }
    return [fact for fact, holds in facts.items() if holds]

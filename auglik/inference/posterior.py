"""Draws of the differences' posteriors as ArviZ keeps them. They are independent: nothing is to converge."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray
from arviz_base import from_dict

from auglik.inference.law import Law, draws
from auglik.system.array_types import Float64Array
from auglik.system.keys import host_generator

SHAPE = 4, 1000
"""Chains, as ArviZ expects some, and draws of each."""


def cells_tree(
    laws: Mapping[str, Law], seeds: Mapping[str, Sequence[int]], y: Mapping[str, Float64Array], seed: int
) -> xarray.DataTree:
    """delta, theta, seed_sd [chain,draw,cell] and the mean differences y [cell,seed], in nats; empty without a cell.

    Draws of two cells say nothing of how these go together.
    """
    if not laws:
        return xarray.DataTree()
    drawn = [draws(law, SHAPE, host_generator(seed, "posterior", cell)) for cell, law in laws.items()]
    names = ("delta", "theta", "seed_sd")
    columns = sorted({number for cell in laws for number in seeds[cell]})
    rows = [[dict(zip(seeds[cell], y[cell], strict=True)).get(number, np.nan) for number in columns] for cell in laws]
    values = {name: np.stack([found[place] for found in drawn], -1) for place, name in enumerate(names)}
    return from_dict(
        {"posterior": values, "observed_data": {"y": np.array(rows)}},
        dims={**{name: ["cell"] for name in names}, "y": ["cell", "seed"]},
        coords={"cell": list(laws), "seed": columns},
    )


def targets_tree(laws: Mapping[str, Mapping[str, Law]], seed: int) -> xarray.DataTree:
    """theta, seed_sd [chain,draw,cell,target] by cell and target; NaN where a cell has no law of a target."""
    targets = list(dict.fromkeys(target for of_cell in laws.values() for target in of_cell))
    if not targets:
        return xarray.DataTree()
    theta = np.full((*SHAPE, len(laws), len(targets)), np.nan)
    sd = theta.copy()
    for c, (cell, of_cell) in enumerate(laws.items()):
        for target, law in of_cell.items():
            found = draws(law, SHAPE, host_generator(seed, "corrupted", cell, target))
            theta[..., c, targets.index(target)], sd[..., c, targets.index(target)] = found[1:]
    return from_dict(
        {"posterior": {"theta": theta, "seed_sd": sd}},
        dims={name: ["cell", "target"] for name in ("theta", "seed_sd")},
        coords={"cell": list(laws), "target": targets},
    )

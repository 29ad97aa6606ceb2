"""How much information does blur take from an image, and is the decay gamma = t^k what it takes?

Real images (handwritten digits of 8x8 pixels, 32x32 patches of two photographs, and those of --data) are blurred by the
code that training uses, rounded to bytes and encoded as PNG. The empirical decay is 1 - bytes_t / bytes_0; its net form
first subtracts the bytes of a one-colour PNG. The node NAME/schedule is a table (t, decay, net_decay, t^k), ready for
`to_dataframe().to_csv()`; NAME's k_net, fitted to the net form, is what a run takes as `--k-blur`.

Source: Heinonen et al. 2025, Eq. 13, which as printed equates t^k with the share of PNG bytes that is kept.
"""

from typing import NamedTuple

import numpy as np
import torch
import xarray

from auglik.data import open_dataset
from auglik.objectives import Schedule
from auglik.studies.information.figures import decay_figure, mosaic_figure
from auglik.studies.information.measure import (
    Bytes,
    Measured,
    best_power,
    best_power_by_gradient,
    blur_error,
    data_set,
    deflated,
    line,
    measure,
    one_colour,
    photographs,
    power_interval,
)
from auglik.studies.study import Claim, Context, Findings, at_least, at_most, equal
from auglik.system.array_types import Float64Array

LINEAR = 0.98
"""The R^2 from which on the decay counts as about linear in t."""


class Set(NamedTuple):
    """Images [n,c,H,W] of a kind, and what was measured of them."""

    images: Bytes
    found: Measured
    table: xarray.Dataset

    @property
    def natural(self) -> bool:
        """Whether these are colour images of a size at which the papers' claim is made."""
        return self.images.shape[1] == 3 and self.images.shape[3] >= 32


def schedule_table(found: Measured, context: Context) -> xarray.Dataset:
    """The empirical blur schedule: columns over t, and the fitted numbers as scalars."""
    columns = {"bytes": found.bytes.mean(0)}
    scalars: dict[str, float] = {}
    for net, suffix in ((False, ""), (True, "_net")):
        decay = found.decay(net)
        columns["net_decay" if net else "decay"] = decay
        k = best_power(found.t, decay)
        columns[f"power_law{suffix}"] = found.t**k
        low, high = power_interval(found, net, context.seed, 200 if context.quick else 1000)
        slope, intercept, r_squared = line(found.t, decay)
        numbers = {"k": k, "k_low": low, "k_high": high, "slope": slope, "intercept": intercept, "r_squared": r_squared}
        scalars |= {name + suffix: value for name, value in numbers.items()}
    table = xarray.Dataset({name: ("t", values) for name, values in columns.items()}, {"t": found.t})
    table = table.assign(scalars)
    table["t"].attrs = {"meaning": "temperature of the blur", "units": "1"}
    table["bytes"].attrs = {"meaning": "mean size of the optimized PNG", "units": "bytes"}
    table["decay"].attrs = {"meaning": "1 - bytes_t / bytes_0 of the mean image", "units": "1"}
    table["net_decay"].attrs = {"meaning": "the same, less the bytes of a one-colour PNG", "units": "1"}
    table["k"].attrs = {"meaning": "least-squares k of decay = t^k", "units": "1"}
    table["k_net"].attrs = {"meaning": "least-squares k of net_decay = t^k; a run takes it as --k-blur", "units": "1"}
    table["k_low"].attrs = {"meaning": "2.5 % point of k over resampled images (k_high: 97.5 %)", "units": "1"}
    return table


def set_claims(name: str, one: Set) -> list[Claim]:
    """What is claimed of one set of images."""
    found, table = one.found, one.table
    mean, decay = found.bytes.mean(0), found.decay()
    by_gradient = best_power_by_gradient(found.t, decay)
    k, r_squared = float(table["k"]), float(table["r_squared"])
    claims = [
        equal(f"{name}: best k of decay = t^k, Brent's method against Levenberg-Marquardt's", k, by_gradient, 1e-4)
    ]
    if one.natural or name == "digits":
        rise = float(np.diff(mean).max() / mean[0])
        statement = f"{name}: mean PNG bytes fall with t: largest rise between neighbouring t, share of bytes_0"
        claims.append(at_most(statement, rise, 0.0, 0.01))
    statement = f"{name}: R^2 of a line through the decay, one minus the kept share of bytes, against t"
    if one.natural:
        claims.append(at_least(f"{statement} (about linear, as the design says)", r_squared, LINEAR))
    elif name == "digits":
        claims.append(at_most(f"{statement} (not linear on 8x8 pixels)", r_squared, LINEAR))
    return claims


def common_claims(sets: dict[str, Set], t: Float64Array) -> list[Claim]:
    """What is claimed of all sets at once: the blur, the encoder, and the law that training computes."""
    several = list(sets.values())
    blur = max(blur_error(one.images[:16], t) for one in several)
    overhead = max(abs(one.found.one_colour - deflated(one_colour(one.images))) for one in several)
    k = torch.tensor([float(one.table["k"]) for one in several], dtype=torch.float64)
    laws = [Schedule(k_blur=float(power)).decay("blur", torch.from_numpy(t)).numpy() for power in k]
    law = max(np.abs(law - one.table["power_law"].values).max() for law, one in zip(laws, several, strict=True))
    return [
        at_most(
            "auglik's blur is exp(-tau Lambda) on scipy's DCT-II: largest difference, of 255 pixel values", blur, 2e-3
        ),
        equal("PNG loses nothing: values that differ after decoding", sum(one.found.lost for one in several), 0, 0),
        at_most("one-colour PNG bytes against 57 and zlib's of the same pixels: difference", overhead, 0, 4),
        at_most("Schedule(k_blur=k) decays as the table's power law: largest difference", law, 0, 1e-12),
    ]


def remarks_on(name: str, one: Set) -> list[str]:
    """The fitted schedule in words."""
    table, found = one.table, one.found
    k, low, high, k_net = (float(table[key]) for key in ("k", "k_low", "k_high", "k_net"))
    at_zero = 1 - found.bytes[:, 0].mean() / found.unblurred.mean()
    overhead = found.one_colour / found.bytes[:, 0].mean()
    return [
        f"{name} ({len(found.bytes)} images): decay = t^k with k = {k:.2f} [{low:.2f}, {high:.2f}], net of PNG's"
        f" overhead ({overhead:.0%} of bytes_0) k = {k_net:.2f}; line {float(table['slope']):.2f} t"
        f" {float(table['intercept']):+.2f}, R^2 = {float(table['r_squared']):.3f}; use --k-blur {k_net:.2f}",
        f"{name}: blur at t = 0 (sigma = 0.3 pixels) already changes PNG bytes by {-at_zero:+.1%}, which gamma(0) = 0"
        " leaves out",
    ]


def headline(sets: dict[str, Set]) -> str:
    """The title of the figure."""
    of = {name: float(one.table["r_squared"]) for name, one in sets.items()}
    straight = [f"{name} ({value:.3f})" for name, value in of.items() if value >= LINEAR]
    bent = [f"{name} ({value:.3f})" for name, value in of.items() if value < LINEAR]
    return f"Linear in t (R$^2$)? Yes: {', '.join(straight) or 'none'}. No: {', '.join(bent) or 'none'}."


def information(context: Context) -> Findings:
    """Measures PNG bytes against the blur's temperature."""
    count = 160 if context.quick else 1000
    t = np.linspace(0, 1, 11 if context.quick else 21)
    images = {"digits": data_set("digits", count, context.seed), "photographs": photographs()}
    if context.data is not None:
        images[open_dataset(context.data).name] = data_set(context.data, count, context.seed)
    sets = {}
    for number, (name, these) in enumerate(images.items()):
        for step in measure(these, t):
            if isinstance(step, Measured):
                sets[name] = Set(these, step, schedule_table(step, context))
            else:
                context.progress((number + step) / len(images))
    claims = [claim for name, one in sets.items() for claim in set_claims(name, one)] + common_claims(sets, t)
    tables = {name: one.table for name, one in sets.items()}
    figures = {
        "information": decay_figure(tables, headline(sets)),
        "information_images": mosaic_figure(
            {name: one.images[one.found.unblurred.argmax()] for name, one in sets.items()}, tables
        ),
    }
    remarks = [remark for name, one in sets.items() for remark in remarks_on(name, one)]
    return Findings(claims, as_tree(sets), figures, remarks)


def as_tree(sets: dict[str, Set]) -> xarray.DataTree:
    """NAME: bytes of every image and the fitted numbers; NAME/schedule: the table, its columns over t."""
    nodes = {}
    for name, one in sets.items():
        measured = xarray.Dataset(
            {"bytes": (("image", "t"), one.found.bytes), "unblurred": ("image", one.found.unblurred)},
            {"t": one.found.t},
            {"one_colour_bytes": one.found.one_colour},
        )
        measured["bytes"].attrs = {"meaning": "size of the optimized PNG of the blurred image", "units": "bytes"}
        measured["unblurred"].attrs = {"meaning": "size of the optimized PNG of the image itself", "units": "bytes"}
        numbers = [key for key, values in one.table.items() if not values.ndim]
        nodes[name] = measured.merge(one.table[numbers])
        nodes[f"{name}/schedule"] = one.table.drop_vars(numbers)
    return xarray.DataTree.from_dict(nodes)

"""Do the samplers of `auglik sample` draw from the posterior?

A conjugate posterior, in closed form, by each sampler at three temperatures, at one with a long step. The posteriors of
the posterior study, a Bayesian softmax regression under six objectives, sampled by NUTS from the JAX twins and by SGHMC
from the torch objectives through the optimizer that runs use (SGLD: one objective); that of a network of one hidden
layer, by what it predicts, as weights are not identified; temperatures, and whether the diagnostics find a step that is
too long and gradients that are too noisy.

Sources: Chen et al. 2014 (SGHMC); Leimkuhler & Matthews 2013 (its splitting here); Wenzel et al. 2020 (temperatures);
Hoffman & Gelman 2014 (NUTS).
"""

import numpy as np
import xarray
from matplotlib.figure import Figure

from auglik.sampling.sghmc import Sghmc
from auglik.sampling.sgld import Sgld
from auglik.studies.common.pictures import BLUE, VERMILION, panels
from auglik.studies.posterior.problem import PAIRS, VIEWS, Problem, make_problem
from auglik.studies.posterior.sampler import Sampler, Setting
from auglik.studies.sampling.conjugate import CHAINS, conjugate_claims
from auglik.studies.sampling.measure import Difference, Length, apart, chains_of, run
from auglik.studies.sampling.network import NETWORK, Apart, nuts, predictions_apart
from auglik.studies.study import Claim, Context, Findings, at_most, equal, true

ERRORS_OF_MANY = 5.0
"""How far the furthest of some 170 differences may be off: four are passed by chance in a fiftieth of all seeds."""

OF_NETWORK = {
    "probabilities of test images by SGHMC less those by NUTS, mean size": 0.01,
    "the furthest apart": 0.06,
    "their posterior standard deviations, the furthest apart": 0.05,
}
"""How far predictions of the small network may be off."""
STEP = 0.02
"""h^2: about a third over the largest curvature of the posteriors at T = 1."""


def sampling(context: Context) -> Findings:
    """Samples every posterior twice and compares moments; then provokes the diagnostics."""
    problem, quick = make_problem(), context.quick
    length = Length(48, 400, 100) if quick else Length(96, 1500, 200)
    nuts = Sampler(problem, chains=4, warmup=200, draws=1000 if quick else 2000, seed=context.seed)
    settings = [*(Setting(number) for number in range(len(PAIRS))), Setting(0, 1 / VIEWS)]
    claims: list[Claim] = []
    many = length._replace(chains=CHAINS)
    for name, sampler, too_wide in (("SGHMC", Sghmc(0.9), False), ("SGLD", Sgld(), True)):
        claims += conjugate_claims(name, sampler, problem, many, context.seed, too_wide=too_wide)
    shifts, ratios, references = [], [], {}
    for place, setting in enumerate(settings):
        found = run(problem, setting, Sghmc(0.9), STEP * setting.T, length, context.seed)
        reference = references[setting] = nuts.sample(setting).phi
        means, deviations = apart(found.phi, reference)
        shifts.append(means)
        ratios.append(Difference(1 + deviations.value, deviations.error))
        claims += [
            none_off(f"{setting.name}: means of SGHMC less those of NUTS", means),
            none_off(f"{setting.name}: standard deviations of SGHMC less those of NUTS", deviations),
        ]
        context.progress((place + 1) / (len(settings) + 3))

    warm, shorter = Setting(0), length._replace(steps=length.steps // 2 + length.burn_in)
    short = run(problem, warm, Sghmc(0.9), STEP / 20, shorter, context.seed)
    langevin = run(problem, warm, Sgld(), STEP, length, context.seed)
    shift, _ = apart(langevin.phi, references[warm])
    long = run(problem, warm, Sghmc(0.9), 8 * STEP, shorter, context.seed)
    noisy = run(problem, warm, Sghmc(0.9), STEP, shorter, context.seed, batch=8)
    off = abs(short.kinetic.mean - 1) / short.kinetic.error
    claims += [
        at_most("SGHMC's kinetic temperature at a twentieth of the step, from T = 1, in standard errors", off, 3.0),
        none_off(f"{warm.name}: means of SGLD less those of NUTS", shift),
        true("the diagnostics pass the short step", short.kinetic.failure(1.0) is None),
        true("the diagnostics fail a step that is eight times as long", long.kinetic.failure(1.0) is not None),
        true("the diagnostics fail batches of 8 images, whose noise heats", noisy.kinetic.failure(1.0) is not None),
    ]  # fmt: skip
    network = network_apart(problem, length, context)
    claims += [
        at_most(f"{NETWORK.name}: {text}", value, bound)
        for text, value, bound in zip(OF_NETWORK, network, OF_NETWORK.values(), strict=True)
    ]
    columns = {"shift": [one.value for one in shifts], "shift_error": [one.error for one in shifts],
               "ratio": [one.value for one in ratios], "ratio_error": [one.error for one in ratios]}  # fmt: skip
    data = xarray.Dataset(
        {name: (("posterior", "coefficient"), np.array(rows)) for name, rows in columns.items()},
        {"posterior": [setting.name for setting in settings]},
    )
    data["shift"].attrs = {"meaning": "mean of SGHMC less that of NUTS", "units": "posterior standard deviations"}
    data["ratio"].attrs = {"meaning": "standard deviation of SGHMC over that of NUTS", "units": "1"}
    remarks = [
        f"{name}: kinetic temperature {one.kinetic.mean:.3f} ± {one.kinetic.error:.3f}, configurational"
        f" {one.configurational.mean:.3f} ± {one.configurational.error:.3f} at T = 1"
        for name, one in (("short steps", short), ("eight times the step", long), ("batches of 8", noisy))
    ]
    context.progress(1.0)
    return Findings(claims, xarray.DataTree(data), {"sampling_moments": moments(data)}, remarks)


def none_off(text: str, difference: Difference) -> Claim:
    """That no coefficient's moment differs; told of the one that is off by the most standard errors."""
    value, error = difference
    at = int(np.argmax(np.nan_to_num(np.abs(value) / error, nan=np.inf)))
    return equal(
        f"{text}, coefficient {at}, the furthest off, in posterior sd", value[at], 0.0, ERRORS_OF_MANY * error[at]
    )


def network_apart(problem: Problem, length: Length, context: Context) -> Apart:
    """SGHMC and NUTS of a small network, by what their draws predict."""
    ours = chains_of(NETWORK, problem, Sghmc(0.9), STEP, length, context.seed)
    warmup, draws = (100, 200) if context.quick else (200, 2000)
    return predictions_apart(problem, ours.phi, nuts(problem, 4, warmup, draws, context.seed))


def moments(data: xarray.Dataset) -> Figure:
    """Every coefficient's mean and standard deviation against NUTS, and how far they may be off."""
    figure, (means, deviations) = panels(1, 2, (11, 4.2))
    names, coefficients = data["posterior"].values.tolist(), data.sizes["coefficient"]
    row = np.arange(len(names))[::-1, None] + np.linspace(-0.3, 0.3, coefficients)
    for axis, name, centre, colour in ((means, "shift", 0.0, BLUE), (deviations, "ratio", 1.0, VERMILION)):
        axis.axvline(centre, color="0.6", linewidth=0.8, zorder=0)
        allowed = ERRORS_OF_MANY * data[f"{name}_error"].values.ravel()
        axis.errorbar(data[name].values.ravel(), row.ravel(), xerr=allowed, fmt="o", color=colour, markersize=3,
                      elinewidth=0.8, alpha=0.7)  # fmt: skip
        axis.set_yticks(np.arange(len(names))[::-1], names if axis is means else [""] * len(names))
    means.set_xlabel("mean, SGHMC less NUTS (posterior sd)")
    deviations.set_xlabel("standard deviation, SGHMC over NUTS")
    figure.suptitle(
        f"SGHMC draws from NUTS's posterior under every objective; bars: {ERRORS_OF_MANY:.0f} standard errors"
    )
    return figure

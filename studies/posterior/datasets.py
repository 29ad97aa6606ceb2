"""The study's numbers as datasets."""

import warnings
from collections.abc import Mapping

import numpy as np
import xarray
from arviz_stats import compare  # type: ignore[attr-defined]
from arviz_stats import summary as summary_table  # type: ignore[attr-defined]

from auglik.studies.posterior.claims import (
    Match,
    Posteriors,
    Refit,
)
from auglik.studies.posterior.measure import (
    power_sensitivity,
)
from auglik.studies.posterior.problem import PAIRS
from auglik.studies.posterior.sampler import Draws, Setting


def summary(drawn: Mapping[str, Draws]) -> xarray.Dataset:
    """ArviZ's summary of every coefficient of every posterior: columns over (posterior, coefficient)."""
    together = np.stack([draws.phi for draws in drawn.values()], 2)
    data = xarray.DataTree.from_dict(
        {"posterior": xarray.Dataset({"phi": (("chain", "draw", "posterior", "coefficient"), together)})}
    )
    table = summary_table(data, fmt="xarray", round_to=None)["phi"]
    columns = table.transpose("summary", "posterior", "coefficient").astype(float)
    dataset = columns.to_dataset("summary").assign_coords(posterior=list(drawn))
    dataset.attrs["meaning"] = "ArviZ summary of the weights phi, in units of logits per unit of a standardized feature"
    return dataset


def sensitivities(posteriors: Posteriors) -> xarray.DataArray:
    """Power-scaling sensitivity at T = 1: (pair, power_of, quantity)."""
    measured = [power_sensitivity(posteriors[Setting(number)].data) for number in range(len(PAIRS))]
    groups, quantities = list(measured[0]), list(measured[0]["prior"])
    values = [[[one[group][quantity] for quantity in quantities] for group in groups] for one in measured]
    return xarray.DataArray(
        values,
        {"pair": [str(pair) for pair in PAIRS], "power_of": groups, "quantity": quantities},
        name="sensitivity",
        attrs={"meaning": "cumulative Jensen-Shannon distance per doubling of the power, T = 1", "units": "1"},
    )


def comparison(posteriors: Posteriors) -> xarray.Dataset:
    """ArviZ's comparison of the PSIS-LOO scores at T = 1, best first: columns over pairs."""
    scores = {str(pair): posteriors[Setting(number)].scores for number, pair in enumerate(PAIRS)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # arviz-stats 0.8 with pandas 3
        table = compare(scores, method="stacking")
    numbers = table.rename_axis("pair").select_dtypes(("number", "bool"))  # arviz-stats 1.2 adds columns of text
    dataset = xarray.Dataset.from_dataframe(numbers.astype(float))
    dataset.attrs = {"images": scores[str(PAIRS[0])].n_data_points, "meaning": "arviz_stats.compare, sums over images"}
    return dataset


def grid_dataset(posteriors: Posteriors) -> xarray.Dataset:
    """The readings of every pair at every temperature, NaN where a pair was not sampled."""
    T = sorted({setting.T for setting in posteriors})
    names = (
        "held_out", "held_out_error", "held_out_se_images", "spread", "spread_error", "power_slope", "elpd_loo",
        "pareto_k_above",
    )  # fmt: skip
    columns = {name: np.full((len(PAIRS), len(T)), np.nan) for name in names}
    for setting, one in posteriors.items():
        reading, place = one.reading, (setting.pair, T.index(setting.T))
        deviation = reading.by_image.std(ddof=1) / np.sqrt(len(reading.by_image))
        above = float((one.scores.pareto_k.values > 0.7).mean())
        elpd = float(one.scores.elpd) / one.scores.n_data_points
        figures = (
            reading.held_out,
            reading.held_out_error,
            deviation,
            reading.spread,
            reading.spread_error,
            reading.power_slope,
            elpd,
            above,
        )
        for name, figure in zip(names, figures, strict=True):
            columns[name][place] = figure
    dataset = xarray.Dataset(
        {name: (("pair", "T"), values) for name, values in columns.items()},
        {"pair": [str(pair) for pair in PAIRS], "T": T},
    )
    dataset["T"].attrs = {"meaning": "temperature of the likelihood", "units": "1"}
    dataset["held_out"].attrs = {"meaning": "mean log posterior predictive of test images", "units": "nats an image"}
    dataset["spread"].attrs = {"meaning": "root mean posterior variance over the prior's", "units": "1"}
    dataset["power_slope"].attrs = {
        "meaning": "derivative of the mean held-out log-likelihood in log2 of the likelihood's power",
        "units": "nats an image",
    }
    dataset["elpd_loo"].attrs = {"meaning": "PSIS-LOO of the categorical predictive", "units": "nats an image"}
    dataset["pareto_k_above"].attrs = {"meaning": "share of training images with Pareto k above 0.7", "units": "1"}
    return dataset


def matched_dataset(matches: Mapping[int, Match]) -> xarray.Dataset:
    """The temperatures at which geometric:T is as concentrated as the other objectives."""
    several = matches.values()
    columns = {
        "T": [one.T for one in several],
        "T_error": [one.T_error for one in several],
        "spread": [one.reading.spread for one in several],
        "target_spread": [one.target.spread for one in several],
        "held_out": [one.reading.held_out for one in several],
        "target_held_out": [one.target.held_out for one in several],
        "shift": [one.shift for one in several],
    }
    dataset = xarray.Dataset(
        {name: ("pair", values) for name, values in columns.items()},
        {"pair": [str(PAIRS[number]) for number in matches]},
    )
    dataset["T"].attrs = {
        "meaning": "T of categorical + geometric:T with the spread of the pair at T = 1",
        "units": "1",
    }
    dataset["shift"].attrs = {"meaning": "distance of the posterior means", "units": "posterior standard deviations"}
    return dataset


def refits_dataset(refits: Mapping[int, list[Refit]]) -> xarray.Dataset:
    """Scores of left-out images, by PSIS and by sampling without them: (pair, refit)."""
    columns = {
        "image": [[one.image for one in several] for several in refits.values()],
        "pareto_k": [[one.pareto_k for one in several] for several in refits.values()],
        "by_weights": [[one.by_weights[0] for one in several] for several in refits.values()],
        "by_sampling": [[one.by_sampling[0] for one in several] for several in refits.values()],
    }
    names = [str(PAIRS[number]) for number in refits]
    return xarray.Dataset({name: (("pair", "refit"), values) for name, values in columns.items()}, {"pair": names})

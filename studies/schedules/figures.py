"""Pictures of the schedule: what is lost at which temperature, how often, and what it looks like."""

from collections.abc import Mapping

import numpy as np
import torch
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auglik.data import channel_statistics
from auglik.objectives import ROLES, Schedule
from auglik.studies.common.pictures import BLUE, GREEN, ORANGE, VERMILION, panels
from auglik.studies.information.measure import as_pixels, photographs
from auglik.system.keys import device_generator
from auglik.views import mollification

OF_ROLE = {"noise": BLUE, "blur": VERMILION, "both": GREEN}
SHOWN = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)


def curves_figure(data: xarray.DataTree, schedules: Mapping[str, Schedule]) -> Figure:
    """SNR and decay against t above, the densities of temperature and decay below: lines by law, bars as drawn."""
    figure, axes = panels(2, 3, (13, 7.4))
    _snr(axes[0], data)
    _decays(axes[1], data["default"].to_dataset())
    _temperatures(axes[2], data, schedules)
    for axis, (name, schedule) in zip(axes[3:], schedules.items(), strict=True):
        _density(axis, data[name].to_dataset(), name, schedule)
    figure.suptitle(
        "A noised view has lost half of its label where its SNR is 1 (t = 1/2, k = 1); E t = 1/3 by default"
    )
    return figure


def _snr(axis: Axes, data: xarray.DataTree) -> None:
    curves, views = data["curves"], data["rendered"]
    axis.plot(views["t"], views["snr"], ".", color="0.6", markersize=3, label="rendered views, measured")
    axis.plot(curves["t"], curves["snr"], color=BLUE, label=r"cos$^2$(t$\pi$/2) / sin$^2$(t$\pi$/2)")
    axis.plot([0, 0.5, 0.5], [1, 1, 1e-3], color="0.3", linestyle=":")
    axis.set(yscale="log", ylim=(1e-3, 1e4), xlabel="temperature t", ylabel="SNR of noised views")
    axis.legend(frameon=False, fontsize=8)


def _decays(axis: Axes, found: xarray.Dataset) -> None:
    for role in found["role"].values:
        axis.plot(found["t"], found["gamma"].sel(role=role), color=OF_ROLE[str(role)], label=str(role))
    both = 1 - (1 - found["gamma"]).prod("role")
    axis.plot(found["t"], both, color=GREEN, linestyle="--", label="both (not drawn by default)")
    axis.plot([0, 0.5, 0.5], [0.5, 0.5, 0], color="0.3", linestyle=":")
    axis.set(xlabel="temperature t", ylabel=r"decay $\gamma$, k = 1", xlim=(0, 1), ylim=(0, 1.02))
    axis.legend(frameon=False, fontsize=8)


def _temperatures(axis: Axes, data: xarray.DataTree, schedules: Mapping[str, Schedule]) -> None:
    for colour, (name, schedule) in zip((BLUE, VERMILION, GREEN), schedules.items(), strict=True):
        found = data[name]
        mean = schedule.alpha / (schedule.alpha + schedule.beta)
        label = f"Beta({schedule.alpha:g},{schedule.beta:g}), mean {mean:.3f}"
        axis.plot(found["t"], found["temperature_density"], color=colour, label=label)
        axis.plot(found["cell"], found["drawn_temperature"], ".", color=colour, markersize=4)
        axis.axvline(mean, color=colour, linestyle=":", linewidth=1)
    axis.set(xlabel="temperature t", ylabel="density (points: as drawn)", xlim=(0, 1), ylim=(0, 3.5))
    axis.legend(frameon=False, fontsize=8)


def _density(axis: Axes, found: xarray.Dataset, name: str, schedule: Schedule) -> None:
    """Of all views; lines of the roles add up to the bars, and the point mass of clean views stands at 0."""
    shares = dict(zip(ROLES, schedule.shares(), strict=True))
    width = float(found["cell"][1] - found["cell"][0])
    axis.bar(found["cell"], found["drawn_gamma"], width, color="0.85", label="drawn, over 0")
    total = np.zeros(found.sizes["t"])
    fine = np.linspace(0.005, 0.995, found.sizes["t"])
    for role in found["role"].values:
        density = shares[str(role)] * found["gamma_density"].sel(role=role)
        axis.plot(found["gamma"].sel(role=role), density, color=OF_ROLE[str(role)], linewidth=1.2, label=str(role))
        total += np.interp(fine, found["gamma"].sel(role=role), density)
    axis.plot(fine, total, color="0.2", linewidth=1, linestyle="--", label="all of these")
    clean = float(found["drawn_clean"])
    axis.plot([0, 0], [0, 3.4], color=ORANGE, linewidth=4, label=f"clean, at 0: {clean:.3f} of {shares['clean']:.3f}")
    exponents = f"k noise {schedule.k_noise:g}, blur {schedule.k_blur:g}"
    axis.set(xlabel=rf"decay $\gamma$ ({exponents})", ylabel=f"density, {name}", xlim=(-0.02, 1), ylim=(0, 3.5))
    axis.legend(frameon=False, fontsize=8)


def views_figure(seed: int) -> Figure:
    """One patch at several temperatures, noised and blurred, under its decay."""
    images = photographs()
    mean, std = (torch.tensor(values).float()[:, None, None] * 255 for values in channel_statistics(images))
    image = torch.from_numpy(images[images.var((1, 2, 3)).argmax()]).float()
    x = ((image - mean) / std).expand(len(SHOWN), -1, -1, -1)
    t = torch.tensor(SHOWN)
    eps = torch.randn(x.shape, generator=device_generator(torch.device("cpu"), seed, "schedules", "views"))
    rows = {"noise": mollification.add_noise(x, t, eps), "blur": mollification.blur(x, t)}
    figure, axes = panels(len(rows), len(SHOWN), (10.5, 3.9))
    for row, (role, views) in enumerate(rows.items()):
        levels = (views * std + mean).round().clamp(0, 255).byte().numpy()
        gamma = Schedule().decay(role, t.double())
        for column in range(len(SHOWN)):
            axis = axes[row * len(SHOWN) + column]
            axis.imshow(as_pixels(levels[column]))
            axis.set_title(f"t = {SHOWN[column]:g}\n$\\gamma$ = {gamma[column]:.2f}", fontsize=9)
            axis.set(xticks=[], yticks=[])
        axes[row * len(SHOWN)].set_ylabel(role)
    figure.suptitle("What is left of an image, and how much of its label is lost, k = 1")
    return figure

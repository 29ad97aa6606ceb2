"""Pictures of the Dirichlet study: densities on the simplex of three classes, and the mode against the decay."""

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auglik.studies.common.pictures import BLUE, GREEN, VERMILION, panels
from auglik.studies.dirichlet.modes import label, log_density

ROWS = {"tempered": "tempered, Dir(1+q)", "smoothed": "smoothed, Dir(1+q)", "printed": "printed, Dir(q)"}
COLUMNS = (0.0, 0.25, 0.5, 0.75, 1.0)


def _simplex(points: int) -> tuple[np.ndarray, np.ndarray]:
    """A grid on the open simplex [N,3] and its places in the plane [N,2], the true class on top."""
    i, j = np.meshgrid(np.arange(points), np.arange(points))
    inside = i + j < points
    f = np.stack([i[inside], j[inside], points - 1 - i[inside] - j[inside]], -1) + 1 / 3
    f = f / f.sum(-1, keepdims=True)
    return f, plane_coordinates(f)


def plane_coordinates(f: np.ndarray) -> np.ndarray:
    """Class probabilities [...,3] in the plane [...,2]: class 0 on top, 1 left, 2 right."""
    return np.asarray(f @ np.array([[0.5, np.sqrt(3) / 2], [0.0, 0.0], [1.0, 0.0]]))


def densities(points: int) -> xarray.Dataset:
    """Densities on a grid of the simplex, for the ternary pictures; NaN where a concentration is 0."""
    f, _ = _simplex(points)
    values = np.full((len(ROWS), len(COLUMNS), len(f)), np.nan)
    for row, kind in enumerate(ROWS):
        for column, gamma in enumerate(COLUMNS):
            concentration = label("smoothed", gamma, 3) if kind == "printed" else 1 + label(kind, gamma, 3)
            if (concentration > 0).all():
                values[row, column] = np.exp(log_density(f, concentration))
    return xarray.Dataset(
        {
            "density": (("row", "gamma", "point"), values, {"units": "1 / area of (f_0, f_1)"}),
            "f": (("point", "class"), f),
        },
        {"row": list(ROWS), "gamma": list(COLUMNS)},
    )


def ternary_figure(data: xarray.Dataset) -> Figure:
    """Rows of labels, columns of gamma; circles are q / sum q."""
    figure, axes = panels(len(ROWS), len(COLUMNS), (11.5, 7.2))
    where = plane_coordinates(data["f"].values)
    for index, axis in enumerate(axes):
        kind, gamma = list(ROWS)[index // len(COLUMNS)], COLUMNS[index % len(COLUMNS)]
        density = data["density"].sel(row=kind, gamma=gamma).values
        _frame(axis)
        if index < len(COLUMNS):
            axis.set_title(f"gamma = {gamma:g}" + (" (one-hot)" if gamma == 0 else ""), fontsize=10)
        if index % len(COLUMNS) == 0:
            axis.set_ylabel(ROWS[kind])
        if np.isnan(density).all():
            axis.text(0.5, 0.3, "no density:\nB(q) is\ninfinite", ha="center", va="center", fontsize=9)
            continue
        axis.tricontourf(
            where[:, 0], where[:, 1], density.clip(0, 6), levels=np.linspace(0, 6, 13), cmap="cividis", extend="max"
        )
        q = label("smoothed" if kind == "printed" else kind, gamma, 3)
        if kind == "printed":
            axis.text(0.5, -0.13, "unbounded at the edges", ha="center", fontsize=8)
        elif q.any():
            axis.plot(
                *plane_coordinates(q / q.sum()),
                "o",
                color="white",
                markeredgecolor="black",
                markersize=8,
                clip_on=False,
            )
        else:
            axis.text(0.5, -0.13, "uniform: no mode", ha="center", fontsize=8)
    figure.colorbar(
        next(collection for axis in axes for collection in axis.collections), ax=axes, label="density", shrink=0.7
    )
    figure.suptitle(
        "Temper flattens the density and keeps its mode (circle) at the true class, on top; smooth moves it to q"
    )
    return figure


def _frame(axis: Axes) -> None:
    corners = plane_coordinates(np.eye(3)[[0, 1, 2, 0]])
    axis.plot(*corners.T, color="black", linewidth=0.8)
    axis.set(xticks=[], yticks=[], aspect="equal", xlim=(-0.06, 1.06), ylim=(-0.16, 0.94))
    axis.spines[:].set_visible(False)


def mode_figure(ascended: xarray.Dataset, drawn: xarray.Dataset) -> Figure:
    """The true class's probability at the mode, against gamma."""
    figure, (axes,) = panels(1, 1, (7.0, 4.4))
    gamma = np.linspace(0, 1, 101)
    axes.plot(gamma, np.ones(101), color=VERMILION, label="tempered: q / sum q")
    for C, colour in ((3, BLUE), (10, GREEN)):
        axes.plot(gamma, 1 - gamma + gamma / C, color=colour, label=f"smoothed, C = {C}: q / sum q")
        axes.plot(ascended["gamma"], ascended["true_class"].sel(kind="smoothed", classes=C), "o", color=colour)
    axes.plot(ascended["gamma"], ascended["true_class"].sel(kind="tempered", classes=3), "o", color=VERMILION)
    axes.plot([], [], "o", color="0.4", label="mode by ascent")
    axes.plot(drawn["gamma"], drawn["densest"][:, 0], "x", color="black", markersize=9, label="densest draw, C = 3")
    axes.set_xlabel("decay gamma")
    axes.set_ylabel("true class's probability at the mode of Dir(1+q)")
    axes.legend(frameon=False, loc="lower left")
    figure.suptitle("The mode of Dir(1+q) is q / sum q: temper keeps it, smooth moves it")
    return figure

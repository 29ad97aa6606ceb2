"""What the published form of the normalizer does in float32: a map of its error, and of its gradient's.

Z = sum_j (fbar - f_j) / (log fbar - log f_j) divides 0 by 0 where a class is as probable as the geometric mean of
all, and everywhere near the uniform prediction. Heinonen et al. 2025, Eq. 11.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
import xarray
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from auglik.objectives.likelihoods.smoothed_normalized import log_normalizer
from auglik.objectives.numerics import log_softmax
from auglik.studies.common.pictures import panels
from auglik.studies.study import Claim, at_least, at_most
from auglik.system.keys import host_generator

SCALES = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 200.0)
NEAR_UNIFORM, TRAINED = 1e-5, 1.0
"""Logits up to the first scale are next to uniform; those from the second on are a trained network's."""


def direct_log_normalizer(logits: Tensor) -> Tensor:
    """log sum_j (fbar - f_j) / (log fbar - log f_j), as printed: [...,C] -> [...]."""
    log_f = torch.log_softmax(logits, -1)
    log_mean = log_f.mean(-1, keepdim=True)
    return ((log_mean.exp() - log_f.exp()) / (log_mean - log_f)).sum(-1).log()


def our_log_normalizer(logits: Tensor) -> Tensor:
    """The form that training uses."""
    return log_normalizer(log_softmax(logits))


def _with_gradient(form: Callable[[Tensor], Tensor], logits: Tensor) -> tuple[Tensor, Tensor]:
    leaf = logits.clone().requires_grad_()
    value = form(leaf)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach().double(), gradient.double()


def error_map(classes: tuple[int, ...], draws: int, seed: int) -> xarray.Dataset:
    """Largest errors over draws of logits uniform within each scale, in float32, against float64 of our form.

    That form in float64 is what the rest of the study compares with quadrature. `lost`: the share of draws whose value
    or gradient is not finite; the errors are those of the others.
    """
    forms = {"direct": direct_log_normalizer, "auglik": our_log_normalizer}
    shape = (len(forms), len(classes), len(SCALES))
    value, gradient, lost = (np.full(shape, np.nan) for _ in range(3))
    for column, C in enumerate(classes):
        rng = host_generator(seed, "normalizer", "direct", C)
        unit = rng.uniform(-1, 1, (draws, C))
        for step, scale in enumerate(SCALES):
            logits = torch.tensor(scale * unit, dtype=torch.float32)
            exact, slope = _with_gradient(our_log_normalizer, logits.double())
            for row, form in enumerate(forms.values()):
                found, found_slope = _with_gradient(form, logits)
                finite = found.isfinite() & found_slope.isfinite().all(-1)
                lost[row, column, step] = 1 - finite.double().mean()
                if finite.any():
                    value[row, column, step] = (found - exact).abs()[finite].max()
                    gradient[row, column, step] = (found_slope - slope).norm(dim=-1)[finite].max()
    dims = ("form", "classes", "scale")
    return xarray.Dataset(
        {
            "value_error": (dims, value, {"units": "nat", "long_name": "largest error of log Z"}),
            "gradient_error": (
                dims,
                gradient,
                {"units": "nat per unit of logit", "long_name": "largest error of the gradient of log Z (norm)"},
            ),
            "lost": (dims, lost, {"units": "1", "long_name": "share of logits with a NaN value or gradient"}),
        },
        {"form": list(forms), "classes": list(classes), "scale": list(SCALES)},
    )


def claims_of(data: xarray.Dataset) -> list[Claim]:
    """The printed form fails next to the uniform prediction, and there most; the one in use fails nowhere."""
    direct, ours = data.sel(form="direct"), data.sel(form="auglik")
    near = direct.where((data["scale"] > 0) & (data["scale"] <= NEAR_UNIFORM), drop=True)
    trained = direct.where(data["scale"] >= TRAINED, drop=True)
    exactly = direct.sel(scale=0.0)
    worst_scale = direct["value_error"].max("classes").idxmax("scale").item()
    # NaN comparisons are false: a form that is NaN everywhere fails these claims.
    return [
        at_most("log Z (uniform level), float32: largest error over the map", ours["value_error"].max().item(), 2e-6),
        at_most("gradient of log Z, float32: largest error over the map", ours["gradient_error"].max().item(), 2e-6),
        at_most("log Z, float32: share of NaN values or gradients over the map", ours["lost"].max().item(), 0),
        at_least(
            "published direct form, float32: largest error of log Z on logits within 1e-5",
            near["value_error"].max().item(),
            0.1,
        ),
        at_least(
            "published direct form, float32: largest gradient error on logits within 1e-5 (the gradient is below 1e-5)",
            near["gradient_error"].max().item(),
            1.0,
        ),
        at_least(
            "published direct form, float32: share of NaN at uniform logits, at its worst C",
            exactly["lost"].max().item(),
            1.0,
        ),
        at_most("published direct form: the scale of logits with its largest error", worst_scale, NEAR_UNIFORM),
        at_most(
            "published direct form: largest error on logits of scale 1 and more, over that near the uniform",
            trained["value_error"].max().item() / near["value_error"].max().item(),
            0.1,
        ),
    ]


def remark(data: xarray.Dataset) -> str:
    """Where the printed form fails, with figures."""
    direct = data.sel(form="direct")
    near = direct.where(data["scale"] <= NEAR_UNIFORM, drop=True)
    initial, trained = direct.sel(scale=0.1), direct["gradient_error"].where(data["scale"] >= TRAINED)
    tied = [str(C) for C in data["classes"].values[direct["lost"].sel(scale=0.0) > 0]]
    return (
        f"The published form of the normalizer in float32: NaN at uniform logits (a head that starts at zero)"
        f" for C = {', '.join(tied)}; on logits within 1e-5 off by up to {near['value_error'].max():.2g} nat,"
        f" its gradient by {near['gradient_error'].max():.0e}, NaN in up to {100 * near['lost'].max():.0f}% of draws."
        f" From logits of scale 0.1 on, nearer to a default initialization, its value is right to"
        f" {initial['value_error'].max():.0e} nat; its gradient still fails wherever a class ties with the geometric"
        f" mean: off by up to {initial['gradient_error'].max():.0e} at scale 0.1 and {trained.max():.0e} from 1 on."
    )


def figure_of(data: xarray.Dataset) -> Figure:
    """Four heat maps on one colour scale; what is lost is written into the cells."""
    figure, axes = panels(2, 2, (11.5, 6.6), share=True)
    norm = LogNorm(1e-8, 1e6)
    quantities = {"value_error": "log Z (nat)", "gradient_error": "its gradient"}
    cells = [(form, quantity) for form in ("direct", "auglik") for quantity in quantities]
    for axis, (form, quantity) in zip(axes, cells, strict=True):
        name = {"direct": "published form", "auglik": "auglik"}[form]
        _heat_map(axis, data.sel(form=form), quantity, norm)
        axis.set_title(f"{name}: error of {quantities[quantity]}", fontsize=10)
    figure.supxlabel("scale of the logits (0: exactly uniform)")
    figure.supylabel("classes")
    colours = axes[0].images[0]
    figure.colorbar(colours, ax=axes, label="largest error in float32 (in cells: share of NaN)", extend="both")
    figure.suptitle("The published normalizer fails next to the uniform prediction; auglik's form does not")
    return figure


def _heat_map(axis: Axes, data: xarray.Dataset, quantity: str, norm: LogNorm) -> None:
    axis.set_facecolor("0.75")
    axis.imshow(data[quantity].clip(min=1e-8), norm=norm, cmap="cividis", aspect="auto")
    for row, column in np.argwhere(data["lost"].values > 0):
        share = float(data["lost"][row, column])
        text = "NaN" if share == 1 else f"{100 * share:.0f}%"
        dark = not np.isnan(data[quantity][row, column]) and data[quantity][row, column] < 1e-3
        axis.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    axis.set_xticks(range(data.sizes["scale"]), [_short(scale) for scale in data["scale"].values], fontsize=8)
    axis.set_yticks(range(data.sizes["classes"]), [str(C) for C in data["classes"].values], fontsize=8)


def _short(scale: float) -> str:
    """1e-6 rather than 1e-06."""
    return f"{scale:g}" if scale == 0 or scale > 0.01 else f"1e{math.log10(scale):.0f}"

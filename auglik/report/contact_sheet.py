"""A contact sheet: a few images as a network sees them, each view with what was done to it."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auglik.objectives import ROLES
from auglik.report.fonts import legible
from auglik.system.files import atomic_write
from auglik.views import OPERATIONS, Applied, Draws, Gallery, Pipeline

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INCHES = 1.5
"""Width of one view on the sheet."""
CHARACTERS = 42
"""As many as fit above one view."""


def levels_of(images: NDArray[np.float32], gallery: Gallery) -> NDArray[np.uint8]:
    """Standardized images [...,c,H,W] as levels [...,H,W,c], clipped to [0,255]."""
    scale, shift = (values.cpu().numpy()[:, None, None] for values in (gallery.scale, gallery.shift))
    return np.moveaxis(np.clip(np.rint((images - shift) / scale), 0, 255).astype(np.uint8), -3, -1)


def described(applied: Sequence[Sequence[Applied]], place: int) -> str:
    """What was done to the view at `place`, operation by operation; those that did nothing are left out."""
    return "\n".join(
        line for branches in applied for branch in branches if (line := _branch(branch, place, len(branches) > 1))
    )


def _branch(branch: Applied, place: int, several: bool) -> str:
    parts = []
    for operation, magnitude, visibility in zip(
        branch.operation[place], branch.magnitude[place], branch.visibility[place], strict=True
    ):
        name = OPERATIONS[operation]
        if name == "identity":
            continue
        shown = f" {magnitude:.3g}" if magnitude and name not in ("flip", "crop", "erase") else ""
        parts.append(f"{name}{shown}" + (f" (visible {visibility:.2f})" if visibility < 1 else ""))
    share = f"{branch.share[place]:.2f}: " if several else ""
    return share + (", ".join(parts) or "as it is") if parts or several else ""


def captions(pipeline: Pipeline, draws: Draws, view: int, images: NDArray[np.int64]) -> list[str]:
    """Role, temperature, decay, weight and operations of one view of each of some images."""
    applied = pipeline.applied_to(draws, view, images)
    found = []
    for place, image in enumerate(images):
        role = ROLES[draws.role[view, image]]
        temperature = "" if role == "clean" else f" t={draws.temperature[view, image]:.2f}"
        weight = "" if draws.weight is None else f" w={draws.weight[view, image]:.2f}"
        lines = [
            f"{role}{temperature} γ={draws.decay[view, image]:.2f}{weight}",
            *described(applied, place).split("\n"),
        ]
        found.append("\n".join(part for line in lines for part in textwrap.wrap(line, CHARACTERS)))
    return found


def class_names(draws: Draws, labels: NDArray[np.int64], count: int) -> list[str]:
    """The class of each of the first images, and where it is mixed its share, the other's and that one's class."""
    if not draws.mixing:
        return [f"class {label}" for label in labels[:count]]
    others, shares = labels[draws.mixing["partner"]], draws.mixing["share"]
    return [
        f"class {own} ({share:.2f})\nwith class {other} ({1 - share:.2f})"
        for own, other, share in zip(labels[:count], others[:count], shares[:count], strict=True)
    ]


def contact_sheet(gallery: Gallery, pipeline: Pipeline, draws: Draws, names: Sequence[str]) -> "Figure":
    """The first images of a gallery, one per row: the image, then its K views. `names` are their classes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # here, as it takes long to load
    from matplotlib.figure import Figure

    N, K = len(names), len(draws.role)
    images = np.arange(N)
    views = pipeline.render(gallery, draws, images)
    sheet = levels_of(views.images.cpu().numpy(), gallery)
    originals = levels_of(gallery.clean(slice(0, N)).cpu().numpy(), gallery)
    texts = [captions(pipeline, draws, view, images) for view in range(K)]
    lines = max(text.count("\n") + 1 for of_view in texts for text in of_view)
    width = INCHES * 1.35
    figure = Figure(figsize=((K + 1) * width, N * (INCHES + 0.14 * lines)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(N, K + 1, squeeze=False)
    for row in range(N):
        for column in range(K + 1):
            pixels = originals[row] if column == 0 else sheet[column - 1, row]
            axis = axes[row, column]
            axis.imshow(pixels[..., 0] if pixels.shape[-1] == 1 else pixels, cmap="gray", vmin=0, vmax=255)
            axis.set_axis_off()
            axis.set_title(names[row] if column == 0 else texts[column - 1][row], fontsize=6, pad=2)
    return figure


def save(figure: "Figure", path: Path) -> None:
    """Writes the sheet as PNG. Raises InputError for system errors."""
    with legible(figure):
        atomic_write(path, lambda file: figure.savefig(file, format="png", dpi=150))

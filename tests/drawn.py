"""What tests of figures share."""

from matplotlib.figure import Figure


def inside(figure: Figure) -> bool:
    """Whether nothing that is drawn reaches over the figure's edges, by more than a hundredth of an inch."""
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    return bool(min(box.x0, box.y0, width - box.x1, height - box.y1) > -0.01)

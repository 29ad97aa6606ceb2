"""Similarity of images to their transformed versions, by torchmetrics; and of their pixels' correlation.

Images are uint8 [n,c,H,W]; every measure gives one value per image, at most 1, float32 [n].
"""

import importlib.util
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from auglik.objectives import InputError

Similarity = Callable[[Tensor, Tensor], Tensor]
"""transformed, original, floats in [0,1] [n,c,H,W] -> [n]."""

BATCH = 32
"""Images compared at a time: the windows of more leave a CPU's cache."""

BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the five scales, the finest first (Wang, Simoncelli and Bovik 2003)."""
WIDEST_WINDOW = 11
"""Pixels; its Gaussian has a deviation of 1.5 (Wang et al. 2004)."""
NARROWEST_IMAGE = 3
"""Pixels: a window has at least three."""


def window_of(side: int) -> int:
    """The widest odd window, up to 11 pixels, that images of `side` pixels hold."""
    return min(WIDEST_WINDOW, side - 1 + side % 2)


def deviation_of(window: int) -> float:
    """Of the window's Gaussian: 1.5 pixels for 11, in proportion for less, so that it is cut off at 3.5 deviations."""
    return 1.5 if window == WIDEST_WINDOW else (window - 1) / 7


def scales_of(side: int) -> int:
    """As many of the five scales as leave, after each halving, at least a window; torchmetrics asks (s-1)^2 too."""
    window = window_of(side)
    return max(
        s for s in range(1, len(BETAS) + 1) if s == 1 or min(side // 2 ** (s - 1), side // (s - 1) ** 2) >= window
    )


def scc_window_of(side: int) -> int:
    """The library's 8 pixels, or the side of smaller images."""
    return min(8, side)


def ms_ssim(transformed: Tensor, original: Tensor) -> Tensor:
    """Multi-scale structural similarity over `scales_of` scales, whose weights are made to sum to one."""
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    side = min(original.shape[-2:])
    betas = BETAS[: scales_of(side)]
    return multiscale_structural_similarity_index_measure(
        transformed,
        original,
        sigma=deviation_of(window_of(side)),
        kernel_size=window_of(side),
        reduction="none",
        data_range=1.0,
        betas=tuple(beta / sum(betas) for beta in betas),
    )


def contrast_similarity(transformed: Tensor, original: Tensor) -> Tensor:
    """SSIM's contrast-structure term (2 cov + c2) / (var + var + c2), c2 = 0.03^2, over the windows within the image.

    Where contrast alone differs, the structures agree and it is the contrast similarity.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    window = window_of(min(original.shape[-2:]))
    _, contrast = structural_similarity_index_measure(
        transformed,
        original,
        sigma=deviation_of(window),
        kernel_size=window,
        reduction="none",
        data_range=1.0,
        return_contrast_sensitivity=True,
    )
    return contrast


def uqi(transformed: Tensor, original: Tensor) -> Tensor:
    """Universal image quality index (Wang and Bovik 2002); windows that are flat in both images count as 0."""
    from torchmetrics.functional.image import universal_image_quality_index

    window = window_of(min(original.shape[-2:]))
    sigma = deviation_of(window)
    local = universal_image_quality_index(
        transformed, original, kernel_size=(window, window), sigma=(sigma, sigma), reduction="none"
    )
    return local.mean((1, 2, 3))


def ncc(transformed: Tensor, original: Tensor) -> Tensor:
    """Normalized cross-correlation of all pixels and channels, 0 where one of the images is flat."""
    a, b = (images.flatten(1) - images.flatten(1).mean(1, keepdim=True) for images in (transformed, original))
    return torch.nn.functional.cosine_similarity(a, b)


def scc(transformed: Tensor, original: Tensor) -> Tensor:
    """Spatial correlation coefficient of high-pass filtered images; windows that are flat in either count as 0."""
    from torchmetrics.functional.image import spatial_correlation_coefficient

    window = scc_window_of(min(original.shape[-2:]))
    return spatial_correlation_coefficient(transformed, original, window_size=window, reduction="none")


SIMILARITIES: Mapping[str, Similarity] = {"ms-ssim": ms_ssim, "uqi": uqi, "ncc": ncc, "scc": scc}


def similarity_for(measure: str, operation: str) -> Similarity:
    """The measure's own, but for MS-SSIM of contrast, which is contrast similarity (arXiv 2507.16427)."""
    return contrast_similarity if (measure, operation) == ("ms-ssim", "contrast") else SIMILARITIES[measure]


def similarities(similarity: Similarity, transformed: Tensor, original: Tensor) -> Tensor:
    """The similarity of each pair of uint8 images."""
    pairs = zip(transformed.split(BATCH), original.split(BATCH), strict=True)
    return torch.cat([similarity(a.float() / 255, b.float() / 255) for a, b in pairs])


def check_similarity(measure: str, side: int) -> None:
    """Raises InputError if torchmetrics is missing, or images of `side` pixels are too small."""
    if measure != "ncc" and importlib.util.find_spec("torchmetrics") is None:
        raise InputError(
            f"measure {measure} needs torchmetrics: pip install 'auglik[similarity]' (ncc works without it)"
        )
    if side < NARROWEST_IMAGE:
        raise InputError(f"measure {measure}: expected images of at least {NARROWEST_IMAGE} pixels, got {side}")


def settings_of_similarity(measure: str, side: int) -> dict[str, object]:
    """What a table should say of how images were compared."""
    window: dict[str, object] = {"window": window_of(side), "deviation": deviation_of(window_of(side))}
    settings: dict[str, dict[str, object]] = {
        "ms-ssim": {**window, "scales": scales_of(side), "contrast": "contrast similarity"},
        "uqi": window,
        "ncc": {},
        "scc": {"window": scc_window_of(side)},
    }
    return settings[measure]

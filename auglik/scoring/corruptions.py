"""The corruptions and their categories."""

CORRUPTIONS = {
    "gaussian_noise": "noise",
    "shot_noise": "noise",
    "impulse_noise": "noise",
    "defocus_blur": "blur",
    "glass_blur": "blur",
    "motion_blur": "blur",
    "zoom_blur": "blur",
    "fog": "weather",
    "frost": "weather",
    "snow": "weather",
    "brightness": "digital",
    "contrast": "digital",
    "elastic_transform": "digital",
    "pixelate": "digital",
    "jpeg_compression": "digital",
}
"""The 15 of Hendrycks and Dietterich 2019 by category. Brightness is digital, as the text of Heinonen et al. 2025 has
it; their Table 2 prints it under weather."""

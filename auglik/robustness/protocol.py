"""The settings of a robustness evaluation."""

from dataclasses import dataclass

from auglik.objectives import InputError
from auglik.scoring.corruptions import CORRUPTIONS
from auglik.settings.fields import option
from auglik.settings.groups import Group
from auglik.settings.names import nearest

SEVERITIES = (1, 2, 3, 4, 5)
SCORING_RULE = 3
"""Increased whenever the same settings would score other images, so that old scores are not taken for new ones."""
OCCLUDED_SHARES = (0.2, 0.4, 0.6, 0.8)
"""Of the area, besides 0 (Liu et al. 2023)."""
OCCLUDER = "rectangle"
"""What hides them, as scores call it: a square where one of whole pixels covers about that share."""
TEMPERATURES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""The grid of t of the mollified test sets."""


@dataclass(frozen=True)
class RobustnessConfig:
    """The settings of a robustness evaluation, the same for all runs that are compared."""

    corruptions: str = option(
        "auto",
        "A -C folder; made (by imagecorruptions-imaug); auto: the published set if there is one; none; or an import"
        " path.",
        group=Group.EVALUATION,
    )
    severities: str = option("1,2,3,4,5", "Comma-separated severities of the corruptions.")
    allow_missing: bool = option(False, "Accept a -C folder that lacks some of the 15 corruptions.")
    occlusion: bool = option(True, "Score with one black square or rectangle over 0, 20, 40, 60, 80% of the area.")
    mollified: bool = option(True, "Score under noise and under blur at t = 0.1, 0.3, 0.5, 0.7, 0.9.")
    human_labels: str | None = option(None, "A .npy file of human label distributions [N,C] of the test set.")
    images: int | None = option(None, "Number of test images to score on, the same for all runs [all].")
    robustness_seed: int = option(0, "Seed of rectangles, noise, made corruptions and chosen images, for all runs.")

    def __post_init__(self) -> None:
        self.chosen_severities()
        if self.images is not None and self.images < 1:
            raise InputError(f"images: expected an integer >= 1, got {self.images}")
        if self.robustness_seed < 0:
            raise InputError(f"robustness_seed: expected an integer >= 0, got {self.robustness_seed}")

    def chosen_severities(self) -> tuple[int, ...]:
        """In rising order. Raises InputError for anything but some of 1 to 5, each once."""
        parts = [part.strip() for part in self.severities.split(",")]
        known = {str(severity): severity for severity in SEVERITIES}
        if len(set(parts)) < len(parts) or not set(parts) <= set(known):
            raise InputError(f"severities: expected some of 1,2,3,4,5, each once, got {self.severities!r}")
        return tuple(sorted(known[part] for part in parts))


def check_complete(found: set[str], where: str, allow_missing: bool) -> list[str]:
    """The corruptions found, in the order of CORRUPTIONS; others are left out.

    Raises InputError if some are missing and that is not allowed: the mean would be over other corruptions.
    """
    missing = [name for name in CORRUPTIONS if name not in found]
    if not missing or (allow_missing and len(missing) < len(CORRUPTIONS)):
        return [name for name in CORRUPTIONS if name in found]
    others = sorted(found - set(CORRUPTIONS))
    hint = nearest(missing[0], others) if others else ""
    raise InputError(
        f"{where}: expected all {len(CORRUPTIONS)} corruptions, missing {', '.join(missing)}{hint};"
        " --allow-missing takes the mean over those present"
    )

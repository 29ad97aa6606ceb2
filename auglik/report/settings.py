"""The settings of a report."""

import math
from dataclasses import dataclass

from auglik.objectives import InputError
from auglik.settings.fields import option
from auglik.settings.groups import Group
from auglik.settings.names import nearest

AGAINST = ("none", "published")


@dataclass(frozen=True)
class ReportSettings:
    """What a report compares, and how it samples."""

    reference: str | None = option(
        None, "Cell to compare the others with [that of comparison.csv].", group=Group.COMPARED
    )
    rope: float = option(
        0.005, "Half-width, in nats of clean NLL, of what counts as practically equal.", group=Group.REPORT
    )
    against: str = option("none", "Figures to show next to the runs': published (the papers') or none.", *AGAINST)
    calibration: bool = option(
        True, "Sample the calibration model: reliability bands, recalibration, intervals of ECE."
    )
    data_dir: str = option(
        "data", "Folder of the data sets, for the contact sheet of training views.", group=Group.MACHINE
    )
    seed: int = option(0, "Seed of the samplers.", group=Group.REPORT)
    title: str | None = option(None, "Title of the page [the data sets and networks of the runs].")

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rope) and self.rope >= 0):
            raise InputError(f"rope: expected nats >= 0, got {self.rope}")
        if self.against not in AGAINST:
            raise InputError(
                f"against: expected {' or '.join(AGAINST)}, got {self.against!r}{nearest(self.against, AGAINST)}"
            )
        if self.seed < 0:
            raise InputError(f"seed: expected an integer >= 0, got {self.seed}")

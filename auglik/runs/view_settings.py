"""The settings of a view."""

from dataclasses import dataclass

from auglik.objectives import InputError, Schedule
from auglik.settings.fields import check_choices, expect, option
from auglik.settings.groups import Group
from auglik.settings.names import nearest
from auglik.views import FlipCropRotate, Step
from auglik.views.augmentation import Enumerated
from auglik.views.augmentations.fcr import LARGEST_PADDING
from auglik.views.mixing.contract import MIXINGS, Mixing
from auglik.views.registry import AUGMENTATIONS, read_augmentations


@dataclass(frozen=True)
class ViewConfig:
    """The distribution of a view."""

    augment: str = option(
        "fcr",
        "Augmentations in order, comma-separated: fcr is flip, crop, rotation; mixup or cutmix, put first, mixes"
        " training images.",
        group=Group.VIEWS,
        names=("none", *MIXINGS, *AUGMENTATIONS),
    )
    flip: float | None = option(None, "Probability of a horizontal flip [0.5, or 0 where a flip changes the class].")
    crop_padding: int | None = option(None, "Padding of the random crop in pixels [4, less for images under 28].")
    rotation: float = option(15.0, "Largest rotation in degrees, in either direction.")
    mollify: str = option(
        "noise,blur", "Roles besides clean, comma-separated; or none.", names=("none", "noise", "blur", "both")
    )
    clean_share: float | None = option(None, "Share of clean views [equal shares for all roles].")
    alpha: float = option(1.0, "First parameter of the temperature's Beta distribution.")
    beta: float = option(2.0, "Second parameter of the temperature's Beta distribution.")
    k_noise: float = option(1.0, "Exponent of the decay of noised views: gamma = sin(t pi/2)^(2k).")
    k_blur: float = option(1.0, "Exponent of the decay of blurred views: gamma = t^k.")

    def __post_init__(self) -> None:
        check_choices(self)
        expect(self.flip is None or 0 <= self.flip <= 1, "flip", "a probability in [0,1]", self.flip)
        padding = self.crop_padding
        within = padding is None or 0 <= padding <= LARGEST_PADDING
        expect(within, "crop_padding", f"pixels in 0..{LARGEST_PADDING}", padding)
        expect(0 <= self.rotation <= 180, "rotation", "degrees in [0,180]", self.rotation)
        self.schedule()
        self.augmentations()

    def augmentations(self) -> tuple[Mixing | None, tuple[Step, ...]]:
        """What is done to images before views, and to each view. Raises InputError as `read_augmentations` does."""
        known = FlipCropRotate()
        flip = known.flip if self.flip is None else self.flip
        padding = known.padding if self.crop_padding is None else self.crop_padding
        return read_augmentations(self.augment, FlipCropRotate(flip, padding, self.rotation))

    def orbit(self) -> Enumerated | None:
        """The augmentation whose views are all seen, if there is one. Raises InputError for any other beside it."""
        mixing, steps = self.augmentations()
        found = next((step.augmentation for step in steps if isinstance(step.augmentation, Enumerated)), None)
        if found is not None and (mixing is not None or len(steps) > 1 or self.schedule().shares()[0] < 1):
            raise InputError(
                f"augment: expected nothing beside orbit, and --mollify none, got {self.augment} with --mollify"
                f" {self.mollify}: all of its views are seen, and nothing is drawn"
            )
        return found

    def schedule(self) -> Schedule:
        """Roles, temperatures and decay. Raises InputError for unknown roles and parameters out of range."""
        roles = [] if self.mollify == "none" else self.mollify.split(",")
        known = ("noise", "blur", "both")
        for role in roles:
            if role not in known:
                raise InputError(f"mollify: unknown role {role!r}{nearest(role, known)}")
        if len(set(roles)) < len(roles):
            raise InputError(f"mollify: expected each role once, got {self.mollify!r}")
        equal = 1 / (len(roles) + 1)
        clean = equal if self.clean_share is None else self.clean_share
        expect(0 <= clean <= 1, "clean_share", "a share in [0,1]", clean)
        share = (1 - clean) / len(roles) if roles else 0.0
        shares = {role: share if role in roles else 0.0 for role in known}
        laws = {"alpha": self.alpha, "beta": self.beta, "k_noise": self.k_noise, "k_blur": self.k_blur}
        return Schedule(clean=clean if roles else 1.0, **shares, **laws)

"""The settings of views that follow what earlier views of the run counted for."""

from dataclasses import dataclass

from auglik.objectives import InputError, Objective
from auglik.objectives.view_counts import DrawsViews
from auglik.settings.fields import check_choices, expect, option
from auglik.settings.groups import Group
from auglik.views.allocation import stops
from auglik.views.proposal import NO_PROPOSAL, RESPONSIBILITIES

LEAST = 2


@dataclass(frozen=True)
class AdaptiveConfig:
    """Where the views of a pass over the images go, decided by the passes before it."""

    proposal: str = option(
        NO_PROPOSAL,
        "What roles and temperatures are drawn from: their own distribution (none), or a proposal that follows the"
        " responsibilities of views in earlier passes, with importance weights of at most 5.",
        NO_PROPOSAL,
        RESPONSIBILITIES,
        group=Group.VIEWS,
    )
    mean_views: float | None = option(
        None,
        "Mean number of views of an image, more where its views disagreed in earlier passes, 2 at the least and"
        " --views at the most [all have all].",
    )

    def __post_init__(self) -> None:
        check_choices(self)
        expect(self.mean_views is None or self.mean_views >= LEAST, "mean_views", f"a number >= {LEAST}",
               self.mean_views)  # fmt: skip

    @property
    def active(self) -> bool:
        return self.proposal != NO_PROPOSAL or self.mean_views is not None

    def describe(self, views: int) -> tuple[str, ...]:
        """What follows earlier views, in words, in a run of K = `views`."""
        found = []
        if self.proposal != NO_PROPOSAL:
            found.append("after the first pass roles and t from a proposal, with importance weights")
        if self.mean_views is not None:
            found.append(f"the first {LEAST} to {views} of these by image, {self.mean_views:g} on average")
        return tuple(found)

    def check_beside(
        self,
        objective: Objective,
        views: int,
        *,
        aggregator: str,
        mollified: bool,
        chain: bool,
        others: dict[str, bool],
    ) -> None:
        """Raises InputError for what does not go together with the rest of a run; `others` are settings by name."""
        if not self.active:
            return
        name = "mean_views" if self.proposal == NO_PROPOSAL else "proposal"
        if objective.aggregator.likelihood_power == 0:
            raise InputError(
                f"{name}: expected an aggregator of likelihoods, such as log-mean, got {aggregator}: it counts all"
                " views alike, so there is nothing to follow"
            )
        if isinstance(objective.aggregator, DrawsViews):
            raise InputError(f"{name}: expected an aggregator of a given number of views, got {aggregator}, which draws"
                             " it and takes views from their own distribution")  # fmt: skip
        if chain:
            raise InputError(f"{name}: expected none for a chain: its posterior would move while it is sampled")
        if views < LEAST:
            raise InputError(f"{name}: expected at least {LEAST} views, got {views}: one has all the responsibility")
        for other, given in others.items():
            if given:
                raise InputError(f"{name}: expected none with {other}")
        if self.proposal != NO_PROPOSAL and not mollified:
            raise InputError("proposal: expected views that are mollified, got --mollify none: no temperature is drawn")
        if self.mean_views is not None:
            least = least_views(objective)
            if not least <= self.mean_views <= views:
                raise InputError(
                    f"mean_views: expected {least} to {views}, the most of an image, got {self.mean_views:g}"
                )
            stops(least, views)


def least_views(objective: Objective) -> int:
    """Of an image whose number of views follows its spread: one view does not show any."""
    return max(LEAST, objective.aggregator.minimum_views)

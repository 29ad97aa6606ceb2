"""When draws of a Markov chain can be relied on (Vehtari et al. 2021), and what is said when not."""

WORST_RHAT, LEAST_ESS = 1.01, 400


def not_converged(sampler: str, rhat: float, ess: float) -> str:
    """A sentence for the report's warnings."""
    return (
        f"{sampler} has not converged: R-hat {rhat:.3f} (at most {WORST_RHAT}), "
        f"effective sample size {ess:.0f} (at least {LEAST_ESS})"
    )

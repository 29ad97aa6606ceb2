"""The normalizer of labels that degrade toward pi_j: Z = sum_j L(g_j, f_j), log g_j = sum_i pi_ji log f_i.

Against the definition, sum_j E prod_i f_i^{q_i(gamma, e_j)}, by adaptive quadrature, with 50 digits, and by NumPyro.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import numpyro.distributions as dist
import torch
from scipy.integrate import quad_vec  # type: ignore[attr-defined]

from auglik.objectives import LIKELIHOODS, Schedule
from auglik.objectives.likelihoods.smoothed_normalized import log_normalizer
from auglik.objectives.likelihoods.smoothed_normalized_schedule import log_normalizer_under
from auglik.objectives.toward import at_chance, degrading
from auglik.studies.normalizer.references import BREAKS, level_quantile
from auglik.studies.study import Claim, Context, at_least, at_most, equal
from auglik.system.keys import host_generator

SIZES = (2, 10, 100)
SCALES = (0.0, 1e-3, 1.0, 10.0, 80.0)


def drawn(classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits [N,C], uniform within each of SCALES, and distributions [C,C]: sparse ones, the first its own label."""
    rng = host_generator(seed, "normalizer", "toward", classes)
    pi = rng.dirichlet(np.full(classes, 0.3), classes)
    pi[0] = np.eye(classes)[0]
    return np.array([scale * rng.uniform(-1, 1, classes) for scale in SCALES]), pi


def mass(logits: np.ndarray, pi: np.ndarray, level: float) -> np.ndarray:
    """sum_j prod_i f_i^{q_i(level, e_j)}: [N,C] -> [N], the exponents written out."""
    log_f = (
        logits
        - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
        - logits.max(-1, keepdims=True)
    )
    q = (1 - level) * np.eye(len(pi)) + level * pi
    return np.exp(log_f @ q.T).sum(-1)


def by_quadrature(logits: np.ndarray, pi: np.ndarray, level: Callable[[float], float]) -> np.ndarray:
    """log Z [N]; `level` is the quantile function of the level."""
    found, _ = quad_vec(
        lambda u: mass(logits, pi, float(level(u))), 0, 1, epsabs=1e-14, epsrel=1e-13, norm="max", points=BREAKS
    )
    return np.log(found)


def by_digits(logits: np.ndarray, pi: np.ndarray) -> float:
    """log Z of logits [C] with 50 digits, the level uniform."""
    with mpmath.workdps(50):
        masses = [mpmath.exp(x) for x in logits.tolist()]
        log_f = [mpmath.log(value / mpmath.fsum(masses)) for value in masses]
        rows = [[mpmath.mpf(value) for value in row] for row in pi.tolist()]

        def whole(a: mpmath.mpf) -> mpmath.mpf:
            terms = ((1 - a) * own + a * mpmath.fdot(row, log_f) for own, row in zip(log_f, rows, strict=True))
            return mpmath.fsum(map(mpmath.exp, terms))

        return float(mpmath.log(mpmath.quad(whole, [0, *BREAKS, 1])))


def by_numpyro(logits: np.ndarray, pi: np.ndarray, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Z [N] and its standard error: levels by NumPyro's Uniform, labels by the entropies of its Categorical."""
    level = dist.Uniform(0.0, 1.0).sample(jax.random.key(seed), (draws, 1, 1))
    log_f = dist.Categorical(logits=jnp.asarray(logits)[:, None]).log_prob(jnp.arange(len(pi)))
    masses = np.asarray(jnp.exp((1 - level) * log_f + level * (log_f @ jnp.asarray(pi).T)).sum(-1))
    return masses.mean(0), masses.std(0, ddof=1) / np.sqrt(draws)


def claims_of(context: Context) -> list[Claim]:
    """Values, the bound and where it holds, and the density."""
    claims: list[Claim] = []
    noise = Schedule(clean=0, blur=0)
    for C in SIZES:
        logits, pi = drawn(C, context.seed)
        log_f, toward = torch.tensor(logits).log_softmax(-1), torch.tensor(pi)
        value = log_normalizer(log_f, toward).numpy()
        what = f"log Z toward distributions, C = {C}"
        exact = by_quadrature(logits, pi, lambda u: u)
        claims.append(at_most(f"{what}: off scipy quadrature, the worst logits", np.abs(value - exact).max(), 1e-11))
        single = log_normalizer(log_f.float(), toward.float()).double().numpy()
        claims.append(at_most(f"{what}: float32 off it, the worst logits", np.abs(single - exact).max(), 4e-5))
        under = log_normalizer_under(noise.measure(), log_f, toward).numpy()
        exact = by_quadrature(logits, pi, level_quantile(noise, "noise"))
        text = f"{what}, under the schedule of noise: off scipy quadrature, the worst logits"
        claims.append(at_most(text, np.abs(under - exact).max(), 1e-8))
        mean, error = by_numpyro(logits[1:], pi, 4000 if context.quick else 40_000, context.seed + C)
        gap = np.abs(np.exp(value[1:]) - mean) / np.maximum(error, 1e-12)
        claims.append(at_most(f"{what}: Z off NumPyro's mean over levels, in standard errors", gap.max(), 4.0))
        claims.append(equal(f"{what}: 0 at uniform logits, whatever pi", value[0], 0.0, 1e-13))
    logits, pi = drawn(10, context.seed)
    digits = [abs(float(log_normalizer(torch.tensor(x).log_softmax(-1), torch.tensor(pi))) - by_digits(x, pi))
              for x in logits[1:]]  # fmt: skip
    claims.append(at_most("log Z toward distributions, C = 10: off 50 digits, the worst logits", max(digits), 1e-13))
    return claims + bound_claims(pi, context.seed)


def bound_claims(pi: np.ndarray, seed: int) -> list[Claim]:
    """Z <= 1 everywhere if the columns sum to one, and more than 1 beside the uniform if they do not."""
    rng = host_generator(seed, "normalizer", "toward", "bound")
    C = len(pi)
    doubly = sum(w * np.eye(C)[rng.permutation(C)] for w in rng.dirichlet(np.ones(30)))
    log_f = torch.tensor(rng.uniform(0.001, 40, (2000, 1)) * rng.uniform(-1, 1, (2000, C))).log_softmax(-1)
    largest = float(log_normalizer(log_f, torch.tensor(doubly)).max())
    uphill = torch.tensor(1e-3 * (pi.sum(0) - 1)).log_softmax(-1)
    confused = at_chance(torch.tensor(rng.random((C, C))))
    dense = degrading(LIKELIHOODS["smoothed-normalized"], confused)
    views = torch.tensor(3 * rng.normal(size=(1, 1, C)))

    def total(level: float) -> float:
        return float(dense.table(views, torch.full((1, 1), level, dtype=torch.float64)).exp().sum())

    return [
        at_most("toward a mixture of permutations (columns sum to one): largest log Z of 2000 logits", largest, 1e-12),
        at_least("toward distributions whose columns do not: log Z a step uphill of the uniform",
                 float(log_normalizer(uphill, torch.tensor(pi))), 1e-7),
        equal("smoothed-normalized toward confusions: integrates to one over labels and levels",
              float(quad_vec(total, 0, 1, epsabs=1e-13)[0]), 1.0, 1e-10),
    ]  # fmt: skip

"""Every likelihood and aggregator written again from its definition, as probabilities, in JAX float64.

The oracles of the objectives: nothing here is imported from them, and no stable rewriting is shared with them. The
program that uses them must enable float64, `jax.config.update("jax_enable_x64", True)`; other arrays raise TypeError.

Shapes are K views, B images, C classes. A likelihood twin takes logits [K,B,C] ([K,B,C+1] for the sink) and decay
[K,B] to a table [K,B,C]; an aggregator twin takes a table [K,B,C] and weight, log_importance [K,B] or None to [B,C].
Both take the parameters of the objective they are the twin of, by keyword, and are compiled and differentiable.

The domain is that of float64 probabilities: values and gradients hold while every probability or density that is
averaged lies between e^-DOMAIN and e^DOMAIN, after the power that `power-mean` (rho) and `geometric-normalized` (1/T)
raise it to. Logits between -200 and 200 give class probabilities of e^-400 and more.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax import Array
from jax.scipy.special import gammaln, rel_entr

from auglik.studies import aggregator_twins as aggregators
from auglik.studies.common.compiling import quickly
from auglik.studies.common.quadrature import beta_rule, graded_gauss_legendre

Twin = Callable[..., Array]

DOMAIN = 700.0


def _in_float64(definition: Twin) -> Twin:
    """`definition` compiled, by itself or in what traces it; raises TypeError for an argument that is not float64."""
    traced, compiled = jax.jit(definition), quickly(definition)

    def twin(*arrays: Array | None, **parameters: float | Array) -> Array:
        for array in arrays:
            if array is not None and array.dtype != jnp.float64:
                raise TypeError(
                    f"expected float64 arrays, got {array.dtype}; enable them with "
                    'jax.config.update("jax_enable_x64", True)'
                )
        inner = any(isinstance(value, jax.core.Tracer) for value in (*arrays, *parameters.values()))
        return (traced if inner else compiled)(*arrays, **parameters)

    return twin


def _softmax(logits: Array) -> Array:
    """f_c = e^logit_c / sum e^logit: [...,C] -> [...,C]."""
    mass = jnp.exp(logits)
    return mass / mass.sum(-1, keepdims=True)


def _degraded_labels(level: Array, classes: int, toward: Array | None = None) -> Array:
    """q(gamma, e_j) = (1-gamma) e_j + gamma pi_j for every j, pi uniform or given: [...] -> [...,C,C], j first."""
    gamma = level[..., None, None]
    pi = jnp.ones((classes, classes)) / classes if toward is None else toward
    return (1 - gamma) * jnp.eye(classes) + gamma * pi


def _log_product_of_powers(f: Array, exponents: Array) -> Array:
    """log prod_c f_c^{q_jc}: [...,C], [...,J,C] -> [...,J]."""
    return jnp.einsum("...jc,...c->...j", exponents, jnp.log(f))


def categorical(logits: Array, decay: Array) -> Array:
    """log f_j."""
    return jnp.log(_softmax(logits))


def tempered(logits: Array, decay: Array) -> Array:
    """log f_j^(1-gamma). Heinonen et al. 2025, Eq. 6."""
    return jnp.log(_softmax(logits) ** (1 - decay[..., None]))


def tempered_normalized(logits: Array, decay: Array) -> Array:
    """log f_j^(1-gamma) / sum_c f_c^(1-gamma)."""
    powers = _softmax(logits) ** (1 - decay[..., None])
    return jnp.log(powers / powers.sum(-1, keepdims=True))


def smoothed(logits: Array, decay: Array, *, toward: Array | None = None) -> Array:
    """log prod_c f_c^{q_c(gamma, e_j)}: minus the cross-entropy of f under the smoothed label."""
    return _log_product_of_powers(_softmax(logits), _degraded_labels(decay, logits.shape[-1], toward))


def _mass_over_labels(logits: Array, level: Array, toward: Array | None) -> Array:
    """sum_j prod_c f_c^{q_c(a, e_j)} at every level a: [...,C], [M] -> [...,M].

    The product of powers is f_j^(1-a) times (prod_c f_c)^(a/C), so that [M,C,C] exponents are not needed.
    """
    f = _softmax(logits)[..., None, :]
    if toward is not None:
        labels = _degraded_labels(level, f.shape[-1], toward)
        return jnp.exp(jnp.einsum("mjc,...c->...mj", labels, jnp.log(f[..., 0, :]))).sum(-1)
    product_of_roots = jnp.exp(jnp.log(f).mean(-1, keepdims=True))  # XLA takes a product of roots as one of f
    a = level[:, None]
    return (f ** (1 - a) * product_of_roots**a).sum(-1)


_LEVELS, _LEVEL_WEIGHTS = graded_gauss_legendre()


def smoothed_normalized(logits: Array, decay: Array, *, toward: Array | None = None) -> Array:
    """Smoothed over Z = sum_j int_0^1 prod_c f_c^{q_c(a, e_j)} da, by quadrature. Heinonen et al. 2025, Eq. 10-11."""
    Z = _mass_over_labels(logits, jnp.asarray(_LEVELS), toward) @ jnp.asarray(_LEVEL_WEIGHTS)
    return smoothed(logits, decay, toward=toward) - jnp.log(Z)[..., None]


def smoothed_normalized_schedule(
    logits: Array,
    decay: Array,
    *,
    clean: float = 1.0,
    noise: float = 1.0,
    blur: float = 1.0,
    both: float = 0.0,
    alpha: float = 1.0,
    beta: float = 2.0,
    k_noise: float = 1.0,
    k_blur: float = 1.0,
    toward: Array | None = None,
) -> Array:
    """Smoothed over Z = sum_j E prod_c f_c^{q_c(gamma, e_j)}, the decay gamma drawn as in training.

    A role by its share and t ~ Beta(alpha, beta): 0 if clean, sin(t pi/2)^(2 k_noise) under noise, t^k_blur under
    blur, and what the two leave of the label multiplied under both.
    """
    t, weights = beta_rule(jnp.asarray(alpha, jnp.float64), jnp.asarray(beta, jnp.float64))
    of_noise, of_blur = jnp.sin(jnp.pi * t / 2) ** (2 * k_noise), t**k_blur
    of_both = of_noise + of_blur - of_noise * of_blur
    masses = [_mass_over_labels(logits, level, toward) @ weights for level in (of_noise, of_blur, of_both)]
    Z = (clean + noise * masses[0] + blur * masses[1] + both * masses[2]) / (clean + noise + blur + both)
    return smoothed(logits, decay, toward=toward) - jnp.log(Z)[..., None]


def dirichlet(logits: Array, decay: Array, *, toward: Array | None = None) -> Array:
    """log C! / prod_c Gamma(1+q_c) prod_c f_c^{q_c}, Dir(f given 1+q), as every label q sums to one.

    A library's Dirichlet is given 1+q, which lacks the last digits of q, and takes them times log f.
    """
    C = logits.shape[-1]
    labels = _degraded_labels(decay, C, toward)
    log_factorial = jnp.log(jnp.arange(1, C + 1, dtype=jnp.float64)).sum()
    return log_factorial - gammaln(1 + labels).sum(-1) + _log_product_of_powers(_softmax(logits), labels)


def noisy_dirichlet(logits: Array, decay: Array, *, alpha_eps: float = 0.01, toward: Array | None = None) -> Array:
    """sum_c log N(logit_c; m_c, v_c), the log-normal with the moments of Gamma(alpha_c, 1). Milios et al. 2018."""
    alpha = alpha_eps + _degraded_labels(decay, logits.shape[-1], toward)
    variance = jnp.log(1 / alpha + 1)
    location = jnp.log(alpha) - variance / 2
    return dist.Normal(location, jnp.sqrt(variance)).log_prob(logits[..., None, :]).sum(-1)


def sink(logits: Array, decay: Array) -> Array:
    """log f_j^(1-gamma) f_sink^gamma: the label is (1-gamma) e_j + gamma e_sink over the C+1 outputs."""
    outputs = jnp.eye(logits.shape[-1])
    gamma = decay[..., None, None]
    return _log_product_of_powers(_softmax(logits), (1 - gamma) * outputs[:-1] + gamma * outputs[-1])


def label_smoothing(logits: Array, decay: Array, *, epsilon: float = 0.1, toward: Array | None = None) -> Array:
    """log prod_c f_c^{q_c}, q = (1-epsilon) q(gamma, e_j) + epsilon pi_j: the degraded label, smoothed."""
    C = logits.shape[-1]
    spread = _degraded_labels(jnp.ones(()), C, toward)
    return _log_product_of_powers(
        _softmax(logits), (1 - epsilon) * _degraded_labels(decay, C, toward) + epsilon * spread
    )


def _others(f: Array) -> Array:
    """1 - f_j, as the sum of the other classes: [...,C] -> [...,C]."""
    return f @ (1 - jnp.eye(f.shape[-1]))


def focal(logits: Array, decay: Array, *, focus: float = 2.0, toward: Array | None = None) -> Array:
    """sum_c q_c(gamma, e_j) (1-f_c)^focus log f_c. Lin et al. 2017."""
    f = _softmax(logits)
    losses = _others(f) ** focus * jnp.log(f)
    return jnp.einsum("...jc,...c->...j", _degraded_labels(decay, f.shape[-1], toward), losses)


def label_relaxation(logits: Array, decay: Array, *, alpha: float = 0.1) -> Array:
    """-KL(p || f), p the nearest to f with p_j >= (1-gamma)(1-alpha), over all classes. Lienen & Hüllermeier 2021."""
    f, label = _softmax(logits), jnp.eye(logits.shape[-1])
    bound = ((1 - decay) * (1 - alpha))[..., None, None]
    off_label = f[..., None, :] / _others(f)[..., None]
    nearest = bound * label + (1 - bound) * off_label * (1 - label)
    divergence = rel_entr(nearest, f[..., None, :]).sum(-1)
    return -jnp.where(f < bound[..., 0], divergence, 0.0)


LIKELIHOOD_TWINS: dict[str, Twin] = {
    "categorical": _in_float64(categorical),
    "tempered": _in_float64(tempered),
    "tempered-normalized": _in_float64(tempered_normalized),
    "smoothed": _in_float64(smoothed),
    "smoothed-normalized": _in_float64(smoothed_normalized),
    "smoothed-normalized-schedule": _in_float64(smoothed_normalized_schedule),
    "dirichlet": _in_float64(dirichlet),
    "noisy-dirichlet": _in_float64(noisy_dirichlet),
    "sink": _in_float64(sink),
    "label-smoothing": _in_float64(label_smoothing),
    "label-relaxation": _in_float64(label_relaxation),
    "focal": _in_float64(focal),
}

AGGREGATOR_TWINS: dict[str, Twin] = {
    "jensen": _in_float64(aggregators.jensen),
    "log-mean": _in_float64(aggregators.log_mean),
    "durbin-koopman": _in_float64(aggregators.durbin_koopman),
    "geometric": _in_float64(aggregators.geometric),
    "geometric-normalized": _in_float64(aggregators.geometric_normalized),
    "power-mean": _in_float64(aggregators.power_mean),
    "jackknife": _in_float64(aggregators.jackknife),
    "thermodynamic": _in_float64(aggregators.thermodynamic),
    "sumo": _in_float64(aggregators.sumo),
    "multilevel": _in_float64(aggregators.multilevel),
}

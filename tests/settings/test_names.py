"""Names with parameters: what they name, their canonical form, and what is refused."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auglik.objectives import AGGREGATORS, LIKELIHOODS, Geometric, InputError, NoisyDirichlet, PowerMean
from auglik.settings.names import canonical, look_up, parameters, parse


@pytest.mark.parametrize("name", AGGREGATORS)
def test_a_bare_name_is_the_registered_instance(name: str) -> None:
    assert parse("aggregator", name, AGGREGATORS) is AGGREGATORS[name]
    assert look_up("aggregator", name, AGGREGATORS) is AGGREGATORS[name]
    assert canonical("aggregator", name, AGGREGATORS) == name


def test_parameters_replace_defaults() -> None:
    assert parse("aggregator", "geometric:T=2", AGGREGATORS) == Geometric(T=2.0)
    assert parse("aggregator", "power-mean:rho=-1e-1", AGGREGATORS) == PowerMean(rho=-0.1)
    assert parse("likelihood", "noisy-dirichlet:alpha_eps=0.5", LIKELIHOODS) == NoisyDirichlet(alpha_eps=0.5)
    assert parameters(AGGREGATORS["geometric"]) == {"T": 1.0}
    assert parameters(AGGREGATORS["jensen"]) == {}


@pytest.mark.parametrize("text", ["geometric:T=1:T=2", "geometric:T=2,T=2"])
def test_a_parameter_is_given_once(text: str) -> None:
    with pytest.raises(InputError, match=f"^aggregator {text!r}: expected T once, got it twice$"):
        parse("aggregator", text, AGGREGATORS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("geometric:T=2", "geometric:T=2"),
        ("geometric:T=2.0", "geometric:T=2"),
        ("geometric:T=1.0", "geometric"),
        ("geometric:T=0.250", "geometric:T=0.25"),
        ("power-mean:rho=5e-1", "power-mean"),
        ("power-mean:rho=-1", "power-mean:rho=-1"),
    ],
)
def test_equal_settings_have_one_canonical_name(text: str, expected: str) -> None:
    assert canonical("aggregator", text, AGGREGATORS) == expected


@dataclass(frozen=True)
class Typed:
    """An integer is the default of a float in one of them."""

    x: float = 1
    y: "float | None" = 2
    n: int = 3


def test_a_float_whose_default_is_an_integer_takes_fractions() -> None:
    assert parse("test", "typed:x=0.5,y=2.5", {"typed": Typed()}) == Typed(x=0.5, y=2.5)
    assert canonical("test", "typed:x=1.0,y=2,n=4", {"typed": Typed()}) == "typed:n=4"
    with pytest.raises(InputError, match=r"expected a whole number for n, as its default is 3 and not 3.0, got '0.5'"):
        parse("test", "typed:n=0.5", {"typed": Typed()})
    with pytest.raises(InputError, match=r"expected a number for n, got '\{0\}'"):
        parse("test", "typed:n={0}", {"typed": Typed()})


@given(T=st.floats(1e-6, 1e6))
def test_a_canonical_name_is_its_own_and_names_the_same(T: float) -> None:
    name = canonical("aggregator", f"geometric:T={T}", AGGREGATORS)
    assert canonical("aggregator", name, AGGREGATORS) == name
    named = parse("aggregator", name, AGGREGATORS)
    assert isinstance(named, Geometric)
    assert abs(named.T - T) <= 1e-14 * T


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jenson", "unknown aggregator 'jenson'; did you mean 'jensen'?"),
        ("LogMean", "unknown aggregator 'LogMean'; did you mean 'log-mean'?"),
        ("zzz", "unknown aggregator 'zzz'; known: durbin-koopman, geometric, "),
        ("", "unknown aggregator ''; known: "),
        ("jensen:T=2", "unknown parameter 'T'; jensen has none"),
        ("geometric:t=2", "unknown parameter 't'; known: T"),
        ("power-mean:rh=2", "unknown parameter 'rh'; did you mean 'rho'?"),
        ("geometric:T", "expected NAME:key=value, got 'T'"),
        ("geometric:T=two", "expected a number for T, got 'two'"),
        ("geometric:T=", "expected a number for T, got ''"),
        ("geometric:T=0", "geometric: expected T > 0, got 0.0"),
        ("geometric:T=nan", "geometric: expected T > 0, got nan"),
        ("geometric-normalized:T=-1", "geometric-normalized: expected T > 0, got -1.0"),
        ("power-mean:rho=0", "power-mean: expected a finite rho other than 0"),
        ("power-mean:rho=inf", "power-mean: expected a finite rho other than 0"),
    ],
)
def test_refused_names(text: str, message: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse("aggregator", text, AGGREGATORS)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", ["noisy-dirichlet:alpha_eps=0", "smoothed-normalized-schedule:schedule=1", "smooth"])
def test_refused_likelihood_names(text: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse("likelihood", text, LIKELIHOODS)
    assert "\n" not in str(refusal.value)

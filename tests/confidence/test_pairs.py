"""Confidence of the composition itself: the table, the map, the rule for several operations, and the command."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy.interpolate import RegularGridInterpolator

from auglik.cli.main import auglik
from auglik.confidence import Pairs, check_rules, decay_of, parse_rules, rules_identity
from auglik.confidence.contract import Acting
from auglik.confidence.image_table import Strengths
from auglik.confidence.pair_table import PairTable, parse_pair_table, write_pair_table
from auglik.confidence_tables.pairing import measure_pairs
from auglik.confidence_tables.probes import Probe
from auglik.objectives import InputError
from auglik.views.augmentation import OPERATIONS, Applied
from tests.confidence.test_crossfitted import of_reference
from tests.tiny import config, options

NAMES = ("cat", "dog", "owl", "bat")
C = len(NAMES)
AT = {"identity": [0.0], "rotate": [-90.0, 0, 90], "erase": [0.0, 1]}
JOINT = np.random.default_rng(0).uniform(0.3, 0.9, (6, 6))
TABLE = PairTable(
    source="accuracy", dataset="pets", images=100, class_names=NAMES, values=(JOINT + JOINT.T) / 2,
    operations={
        "identity": Strengths("magnitude", np.array(AT["identity"]), slice(0, 1)),
        "rotate": Strengths("magnitude", np.array(AT["rotate"]), slice(1, 4)),
        "erase": Strengths("visibility", np.array(AT["erase"]), slice(4, 6)),
    },
)  # fmt: skip


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_pair_table(tmp_path / "pairs.npz", TABLE)
    return tmp_path / "pairs.npz"


def bilinear(first: str, x: float, second: str, y: float) -> float:
    """By scipy."""
    block = TABLE.values[TABLE.operations[first].columns, TABLE.operations[second].columns]
    return float(RegularGridInterpolator((AT[first], AT[second]), block)([[x, y]])[0])


def alone(name: str, x: float) -> float:
    return float(np.interp(x, AT[name], TABLE.values[0, TABLE.operations[name].columns]))


def kept(p: float) -> float:
    return 1 - (1 - max(p, 1 / C)) * C / (C - 1)


def test_two_operations_are_looked_up_together_and_one_alone(table: Path) -> None:
    chosen, relative = Pairs(str(table)), Pairs(str(table), relative=True)
    turned = Acting("rotate", np.array([-30.0, 300]), np.ones(2))
    erased = Acting("erase", np.zeros(2), np.array([0.25, 0.5]))
    expected = [bilinear("rotate", -30, "erase", 0.25), bilinear("rotate", 90, "erase", 0.5)]
    assert chosen.confidence_together(turned, erased, C).tolist() == pytest.approx(expected)
    assert chosen.confidence_together(erased, turned, C).tolist() == pytest.approx(expected)
    found = relative.confidence_together(turned, erased, C)
    assert found.tolist() == pytest.approx(np.clip(np.array(expected) / TABLE.values[0, 0], 1 / C, 1).tolist())
    assert chosen.confidence(*turned, C).tolist() == pytest.approx([alone("rotate", -30), alone("rotate", 90)])
    twice = chosen.confidence_together(turned, turned, C)
    assert twice[0] == pytest.approx(bilinear("rotate", -30, "rotate", -30))


def view(share: float, *acted: tuple[str, float]) -> Applied:
    """One view under operations at their strengths, whichever axis these are on."""
    codes, x = [OPERATIONS.index(name) for name, _ in acted], np.array([[at for _, at in acted]])
    return Applied(np.full(1, share, np.float32), np.array([codes], np.uint8), x, x)


def test_masses_of_pairs_are_as_measured_across_augmentations_and_more_come_from_them(table: Path) -> None:
    rules = parse_rules(f"all:pairs:table={table}")

    def mass(*applied: list[Applied]) -> float:
        return 1 - float(decay_of(applied, rules, C, "measured")[0])

    one, two, three = ("rotate", -30.0), ("erase", 0.25), ("rotate", 45.0)
    assert mass([view(1, one)]) == pytest.approx(kept(alone(*one)), abs=1e-6)
    assert mass([view(1, ("identity", 0.0))]) == pytest.approx(kept(TABLE.values[0, 0]), abs=1e-6)
    assert mass([view(1, one, ("identity", 0.0), two)]) == pytest.approx(kept(bilinear(*one, *two)), abs=1e-6)
    assert mass([view(1, one)], [view(1, two)]) == pytest.approx(kept(bilinear(*one, *two)), abs=1e-6)
    pairs = [kept(bilinear(*a, *b)) for a, b in ((one, two), (one, three), (two, three))]
    superposed = np.prod(pairs) / np.prod([kept(alone(*each)) for each in (one, two, three)])
    assert mass([view(1, one, two)], [view(1, three)]) == pytest.approx(min(superposed, *pairs), abs=1e-6)
    halves = [view(0.25, one), view(0.75, three)]
    expected = 0.25 * kept(bilinear(*one, *two)) + 0.75 * kept(bilinear(*two, *three))
    assert mass(halves, [view(1, two)]) == pytest.approx(expected, abs=1e-6)
    only = parse_rules(f"erase:pairs:table={table}")
    assert 1 - float(decay_of([[view(1, one, two)]], only, C, "measured")[0]) == pytest.approx(
        kept(alone(*two)), abs=1e-6
    )


def test_a_mass_that_is_gone_stays_gone_and_none_exceeds_its_pairs(tmp_path: Path) -> None:
    values = np.full((6, 6), 0.9)
    values[0, 5] = values[5, 0] = 0.1  # erase alone leaves less than chance, with others more: noise of a table
    write_pair_table(tmp_path / "odd.npz", replace(TABLE, values=values))
    rules = parse_rules(f"all:pairs:table={tmp_path / 'odd.npz'}")
    acted = view(1, ("erase", 1.0), ("rotate", 0.0), ("rotate", 0.0))
    assert decay_of([[acted]], rules, C, "measured").tolist() == [1]
    thrice = view(1, *[("rotate", 0.0)] * 3)
    assert 1 - float(decay_of([[thrice]], rules, C, "measured")[0]) == pytest.approx(kept(0.9), abs=1e-6)


def test_contents_identify_it_and_what_does_not_fit_is_refused_in_one_line(table: Path, tmp_path: Path) -> None:
    rules = parse_rules(f"all:pairs:table={table}")
    before = rules_identity(rules)
    with pytest.raises(InputError, match="lacks crop"):
        check_rules(rules, ["rotate", "crop"], NAMES)
    with pytest.raises(InputError, match="no cow"):
        check_rules(rules, ["rotate"], ("cat", "dog", "owl", "cow"))
    with pytest.raises(InputError, match="table=FILE"):
        Pairs().identity()
    for soften in ("all:polynomial", f"rotate:pairs:table={table},crop:polynomial"):
        with pytest.raises(InputError, match="compose measured: expected one map of pairs"):
            config(soften=soften, compose="measured")
    for values in (JOINT, TABLE.values[1:, 1:], TABLE.values * np.nan, TABLE.values * 0):
        write_pair_table(tmp_path / "bad.npz", replace(TABLE, values=values))
        with pytest.raises(InputError, match="expected what `auglik confidence --by pair` wrote") as refusal:
            parse_pair_table((tmp_path / "bad.npz").read_bytes(), "bad.npz")
        assert "\n" not in str(refusal.value)
    write_pair_table(table, replace(TABLE, values=TABLE.values * 0.9))
    assert rules_identity(rules) != before


def test_pairs_are_measured_one_after_the_other_with_their_own_draws() -> None:
    def probe(at: list[float], apply: object) -> Probe:
        return Probe("magnitude", np.array(at), apply)  # type: ignore[arg-type]

    first = {"add": probe([0, 3], lambda images, x: images + int(x)), "scale": probe([2], lambda images, x: images * 2)}
    second = {**first, "add": probe([0, 3], lambda images, x: images + 2 * int(x))}
    images = torch.ones(4, 1, 1, 1, dtype=torch.uint8)
    found = measure_pairs(first, second, images, lambda operation, changed: changed.flatten())
    both_ways = (1 + 6 + 1 + 3) / 2  # 0 then 3 (doubled), and 3 then 0
    assert found.tolist() == [[1, both_ways, 2], [both_ways, 1 + 3 + 6, 8], [2, 8, 4]]


def test_the_command_measures_pairs_and_its_file_is_trained_with(tmp_path: Path) -> None:
    output = tmp_path / "pairs.npz"
    common = ("--by", "pair", "--points", "2", "--operations", "rotate,crop,flip", "--output", str(output))
    result = CliRunner().invoke(auglik, ["confidence", *common, *of_reference()])
    assert result.exit_code == 0, result.output
    assert "rotate and crop" in result.output
    found = parse_pair_table(output.read_bytes(), "pairs")
    assert (found.values.shape, found.images) == ((8, 8), 20)
    assert ((found.values >= 0) & (found.values <= 1)).all()
    softened = options(soften=f"all:pairs:table={output}:relative=true", compose="measured", epochs=1)
    result = CliRunner().invoke(auglik, ["train", *softened, "--output", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output

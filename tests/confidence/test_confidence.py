"""Label confidence: the maps' published figures, rules, composition, tables, and their measurement on real images."""

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import auglik.cli.confidence as command
from auglik.cli.main import auglik
from auglik.confidence import (
    MAPS,
    Measured,
    Polynomial,
    canonical_rules,
    check_rules,
    decay_of,
    decay_of_confidence,
    map_of,
    parse_rules,
    rules_identity,
)
from auglik.confidence.composition import Compose
from auglik.confidence.contract import ConfidenceMap
from auglik.confidence.probes import check_map
from auglik.confidence.table import MeasuredCurve, Table, parse_table, write_table
from auglik.confidence_tables.probes import PROBED, choose_probes, cover
from auglik.confidence_tables.similarity import (
    contrast_similarity,
    deviation_of,
    ms_ssim,
    ncc,
    scales_of,
    scc,
    similarities,
    uqi,
    window_of,
)
from auglik.data import by_number, open_dataset
from auglik.objectives import InputError
from auglik.system.array_types import FloatArray
from auglik.views.augmentation import OPERATIONS, Applied
from tests.tiny import SETTINGS, StopAt

C = 10


def at(map_: ConfidenceMap, operation: str, magnitude: float, visibility: float = 1.0, classes: int = C) -> float:
    return float(map_.confidence(operation, np.array([magnitude]), np.array([visibility]), classes)[0])


@pytest.mark.parametrize(
    ("operation", "magnitude", "visibility", "s"),
    [
        ("identity", 0, 1, 0),
        ("autocontrast", 0, 1, 0),
        ("equalize", 0, 1, 0),
        ("shear-x", -0.495, 1, 0.5),
        ("shear-y", 0.99, 1, 1),
        ("translate-x", 8, 0.75, 0.25),
        ("translate-y", -32, 0.0, 1),
        ("rotate", -67.5, 1, 0.5),
        ("rotate", 180, 1, 1),
        ("brightness", 0.495, 1, 0.5),
        ("color", -0.99, 1, 1),
        ("contrast", 0.495, 1, 0.5),
        ("sharpness", -0.495, 1, 0.5),
        ("posterize", 2, 1, 0.75),
        ("posterize", 8, 1, 0),
        ("solarize", 0.75, 1, 0.25),
        ("crop", 0, 0.6, 0.4),
        ("erase", 0, 0.6, 0.4),
        ("erase", 0.4, 1, 0),  # a rectangle that did not fit
    ],
)
def test_polynomial_is_one_minus_lost_confidence_times_power_of_strength(
    operation: str, magnitude: float, visibility: float, s: float
) -> None:
    assert at(MAPS["polynomial"], operation, magnitude, visibility) == pytest.approx(1 - 0.9 * s**2)
    assert at(Polynomial(k=2, p_min=0.7), operation, magnitude, visibility) == pytest.approx(1 - 0.3 * s**2)
    assert at(Polynomial(k=3), operation, magnitude, visibility, classes=100) == pytest.approx(1 - 0.99 * s**3)


@pytest.mark.parametrize(
    ("operation", "magnitude", "visibility", "p"),
    [
        ("shear-x", 0.99, 1, 0.9315),
        ("shear-y", -0.495, 1, (1 + 0.9315) / 2),
        ("rotate", -135, 1, 0.9315),
        ("rotate", 67.5, 1, (1 + 0.9315) / 2),
        ("translate-x", 32, 0, 0.216),
        ("translate-y", 16, 0.5, 1 - 0.784 / 16),
        ("crop", 0, 0.5, 1 - 0.784 / 16),
        ("brightness", 0.99, 1, 0.86),
        ("brightness", -0.99, 1, 0.32),
        ("brightness", 0.495, 1, 1 - 0.14 / 8),
        ("brightness", -0.495, 1, 1 - 0.68 / 32),
        ("contrast", 0.99, 1, 0.976),
        ("contrast", -0.99, 1, 0.32),
        ("contrast", -0.495, 1, 1 - 0.68 / 32),
        ("color", 0.99, 1, 1),
        ("color", -0.99, 1, 0.95),
        ("color", -0.495, 1, 1 - 0.05 / 8),
        ("sharpness", 0.99, 1, 0.992),
        ("sharpness", -0.99, 1, 0.884),
        ("sharpness", -0.495, 1, 1 - 0.116 / 16),
        ("posterize", 2, 1, 0.86),
        ("posterize", 5, 1, 1 - 0.14 / 1024),
        ("posterize", 8, 1, 1),
        ("solarize", 0, 1, 0.512),
        ("solarize", 0.75, 1, 1 - 0.488 / 8),
        ("solarize", 1, 1, 1),
        ("identity", 0, 1, 1),
        ("autocontrast", 0, 1, 1),
        ("equalize", 0, 1, 1),
    ],
)
def test_smoothed_has_the_published_figures(operation: str, magnitude: float, visibility: float, p: float) -> None:
    assert at(MAPS["smoothed"], operation, magnitude, visibility) == pytest.approx(p)


@pytest.mark.parametrize(
    ("operation", "magnitude", "visibility", "p"),
    [
        ("erase", 0, 0, 0.216),
        ("erase", 0, 0.0333, 0.388),
        ("crop", 0, 0.1667, 0.685),
        ("crop", 0, 0.2, 0.68),
        ("translate-x", 5, 0.3333, 0.776),
        ("translate-x", 5, (0.3333 + 1) / 2, (0.776 + 1) / 2),
        ("crop", 0, 1, 1),
        ("rotate", 0, 1, 1),
        ("rotate", -45, 1, 0.985),
        ("rotate", 117, 1, 0.934),
        ("rotate", 121.5, 1, 0.9315),
        ("rotate", 135, 1, 0.945),
        ("rotate", -180, 1, 0.945),
        ("contrast", -1, 1, 0.32),
        ("contrast", -0.9333, 1, 0.643),
        ("contrast", -0.9, 1, 0.966),
        ("contrast", 0, 1, 1),
        ("contrast", 0.9, 1, 1),
        ("brightness", -0.99, 1, 0.32),  # no curve of its own: the smoothed one
    ],
)
def test_human_interpolates_the_published_points(operation: str, magnitude: float, visibility: float, p: float) -> None:
    assert at(MAPS["human"], operation, magnitude, visibility) == pytest.approx(p)


def test_confidence_stops_at_chance() -> None:
    assert at(MAPS["smoothed"], "translate-x", 0, 0, classes=4) == 0.25  # 0.216 lies below
    assert at(MAPS["human"], "erase", 0, 0, classes=4) == 0.25
    assert at(Polynomial(p_min=0.01), "crop", 0, 0) == pytest.approx(0.1)
    assert decay_of_confidence(np.array([1, 0.1, 0.05, 0.55]), C).tolist() == pytest.approx([0, 1, 1, 0.5])


@pytest.mark.parametrize("name", ["polynomial", "smoothed"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_confidence_falls_with_strength(name: str, operation: str) -> None:
    assert not MAPS[name].lacking([operation], by_number(C))
    rising = np.linspace(0, 1, 50)
    magnitudes = {"rotate": 135 * rising, "posterize": 8 - 6 * rising, "solarize": 1 - rising}
    magnitude = magnitudes.get(operation, 0.99 * rising)
    for sign in (1, -1):
        signed = magnitude if operation in ("posterize", "solarize") else sign * magnitude
        p = MAPS[name].confidence(operation, signed, 1 - rising, C)
        assert p[0] == 1
        assert np.all(np.diff(p) <= 1e-12)
        assert np.all(p >= 1 / C)


def branch(
    operation: list[list[str]],
    magnitude: NDArray[np.floating],
    visibility: NDArray[np.floating],
    share: NDArray[np.floating] | None = None,
) -> Applied:
    codes = np.array([[OPERATIONS.index(name) for name in row] for row in operation], np.uint8)
    ones = np.ones(len(codes), np.float32)
    return Applied(
        ones if share is None else share.astype(np.float32),
        codes,
        np.broadcast_to(magnitude, codes.shape).astype(np.float32),
        np.broadcast_to(visibility, codes.shape).astype(np.float32),
    )


def occluded(*visibilities: float) -> Applied:
    """One view, occluded in turn."""
    return branch([["erase"] * len(visibilities)], np.array(0.0), np.array([visibilities]))


def test_two_floors_stay_at_chance_when_kept_and_fall_to_a_hundredth_as_published() -> None:
    rules = parse_rules("all:polynomial")
    assert decay_of([[occluded(0, 0)]], rules, C).tolist() == [1]
    assert decay_of([[occluded(0)], [occluded(0)]], rules, C, "published").tolist() == [1]
    p = np.prod([at(MAPS["polynomial"], "erase", 0, 0)] * 2)
    assert p == pytest.approx(0.01)
    assert (1 - p) / (C - 1) == pytest.approx(0.11)  # each other class: the true one is the least likely
    assert (1 - p) * C / (C - 1) == pytest.approx(1.1)  # the decay, were it not to end at 1


def test_composition_multiplies_and_averages_branches_by_share() -> None:
    rules = parse_rules("erase:polynomial:k=1:p_min=0.55,rotate:smoothed")
    seen = np.array([[0.5, 1.0]])
    first = branch([["erase", "rotate"]], np.array([[0, 135.0]]), seen, np.array([0.25]))
    second = branch([["flip", "identity"]], np.array(1.0), np.array(1.0), np.array([0.75]))
    third = occluded(0)
    erased, turned, whole = 1 - 0.45 * 0.5, 0.9315, 0.55
    kept = [1 - (1 - p) * C / (C - 1) for p in (erased, turned, whole)]
    assert decay_of([[first, second], [third]], rules, C).tolist() == pytest.approx(
        [1 - (0.25 * kept[0] * kept[1] + 0.75) * kept[2]], rel=1e-5
    )
    p = (0.25 * erased * turned + 0.75) * whole
    assert decay_of([[first, second], [third]], rules, C, "published").tolist() == pytest.approx(
        [(1 - p) * C / (C - 1)], rel=1e-5
    )


@pytest.mark.parametrize("compose", ["kept", "published", "minimum"])
def test_operations_that_were_not_done_cost_nothing(compose: Compose, tmp_path: Path) -> None:
    """What a table says of untouched images counts once, where nothing acted, however many slots are empty."""
    write_table(tmp_path / "t.json", table_with({"identity": curve([0], [0.9]), "flip": curve([0], [0.6])}))
    rules = parse_rules(f"all:measured:table={tmp_path / 't.json'}")
    one = np.array(1.0)
    for slots in (1, 2, 5):
        untouched = [[branch([["identity"] * slots], one, one)], [branch([["identity"]], one, one)]]
        flipped = [[branch([["identity"] * slots + ["flip"]], one, one)], [branch([["identity"]], one, one)]]
        assert decay_of(untouched, rules, C, compose).tolist() == pytest.approx([0.1 * C / (C - 1)], rel=1e-5)
        assert decay_of(flipped, rules, C, compose).tolist() == pytest.approx([0.4 * C / (C - 1)], rel=1e-5)


def test_no_augmentation_and_no_rule_keep_all() -> None:
    assert decay_of([[occluded(0)]], parse_rules("none"), C).tolist() == [0]
    assert decay_of([[occluded(0)]], parse_rules("rotate:smoothed"), C).tolist() == [0]


@given(
    st.lists(
        st.tuples(st.sampled_from(OPERATIONS), st.floats(-200, 200, width=32), st.floats(0, 1, width=32)),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["all:polynomial", "all:human", "all:smoothed", "all:polynomial:k=0.5:p_min=0.05,rotate:human"]),
    st.integers(2, 200),
)
def test_kept_decay_never_exceeds_published_and_stays_within_bounds(
    done: list[tuple[str, float, float]], text: str, classes: int
) -> None:
    operation, magnitude, visibility = zip(*done, strict=True)
    applied = [[branch([list(operation)], np.array([magnitude]), np.array([visibility]))]]
    rules = parse_rules(text)
    decays = {how: decay_of(applied, rules, classes, how) for how in ("kept", "published")}
    for decay in decays.values():
        assert decay.dtype == np.float32
        assert 0 <= decay[0] <= 1
    assert decays["kept"][0] <= decays["published"][0] + 1e-5
    whole = applied[0][0]
    fewer = [
        [Applied(whole.share, whole.operation[:, 1:], whole.magnitude[:, 1:], whole.visibility[:, 1:])],
    ]
    kinds: tuple[Compose, ...] = ("kept", "published")
    assert all(decay_of(fewer, rules, classes, how)[0] <= decays[how][0] + 1e-5 for how in kinds)


def test_decay_of_many_views_is_that_of_each(rng: np.random.Generator) -> None:
    n = 300
    names = [[OPERATIONS[code] for code in row] for row in rng.integers(0, len(OPERATIONS), (n, 2))]
    magnitude, visibility = rng.uniform(-1, 1, (n, 2)), rng.random((n, 2))
    rules = parse_rules("all:smoothed,crop:polynomial,rotate:human")
    together = decay_of([[branch(names, magnitude, visibility)]], rules, C)
    for i in range(n):
        kept = 1.0
        for name, m, v in zip(names[i], magnitude[i], visibility[i], strict=True):
            chosen = map_of(rules, name)
            assert chosen is not None
            kept *= 1 - float(decay_of_confidence(np.array(at(chosen, name, m, v)), C))
        assert together[i] == pytest.approx(1 - kept, abs=1e-5)


def test_later_and_more_specific_rules_win() -> None:
    rules = parse_rules("crop:polynomial:k=2,p_min=0.5,all:smoothed,crop:polynomial:k=4,all:human")
    assert map_of(rules, "crop") == Polynomial(k=4)
    assert map_of(rules, "rotate") == MAPS["human"]
    assert map_of(parse_rules("crop:smoothed"), "rotate") is None
    assert parse_rules("") == parse_rules("none") == []
    assert canonical_rules("crop:polynomial:k=2.0:p_min=0.70,all:human") == "crop:polynomial:p_min=0.7,all:human"
    assert rules_identity(parse_rules("all:polynomial:k=2")) == rules_identity(parse_rules("all:polynomial"))
    assert rules_identity(parse_rules("all:polynomial:k=3")) != rules_identity(parse_rules("all:polynomial"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("crup:polynomial", "did you mean 'crop'"),
        ("crop:polinomial", "did you mean 'polynomial'"),
        ("crop:polynomial:q=2", "unknown parameter 'q'"),
        ("crop:polynomial:k=two", "a number"),
        ("crop:polynomial:k=0", "an exponent k > 0"),
        ("crop:polynomial:p_min=2", "[0,1]"),
        ("crop", "e.g. crop:polynomial:k=2, got 'crop'"),
        ("smoothed", "all:smoothed"),
        ("polynomial:k=2", "all:polynomial"),
    ],
)
def test_unusable_rules_are_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse_rules(text)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def table_with(operations: dict[str, MeasuredCurve]) -> Table:
    return Table(
        measure="accuracy",
        dataset="digits",
        digest="abc",
        classes=C,
        images=50,
        settings={"points": 3},
        operations=operations,
    )


def curve(at_: list[float], value: list[float], axis: str = "magnitude") -> MeasuredCurve:
    return MeasuredCurve(axis, np.array(at_), np.array(value), np.full(len(at_), 0.01))


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    path = tmp_path / "table.json"
    curves = {
        "identity": curve([0], [0.9]),
        "rotate": curve([-90, 0, 90], [0.3, 0.9, 0.05]),
        "erase": curve([0, 1], [0.1, 0.9], "visibility"),
    }
    write_table(path, table_with(curves))
    return path


def test_table_comes_back_from_its_file(measured: Path) -> None:
    table = parse_table(measured.read_bytes(), "here")
    assert (table.measure, table.dataset, table.digest, table.classes, table.images) == (
        "accuracy",
        "digits",
        "abc",
        C,
        50,
    )
    assert table.operations["rotate"].value.tolist() == [0.3, 0.9, 0.05]
    assert table.operations["erase"].axis == "visibility"


def test_measured_interpolates_in_signed_magnitude_and_stops_at_chance(measured: Path) -> None:
    (rule,) = parse_rules(f"all:measured:table={measured}")
    assert at(rule.map, "rotate", -45) == pytest.approx(0.6)
    assert at(rule.map, "rotate", -200) == pytest.approx(0.3)
    assert at(rule.map, "rotate", 90) == 0.1
    assert at(rule.map, "erase", 0, 0.5) == pytest.approx(0.5)
    assert at(Measured(str(measured), relative=True), "rotate", -90) == pytest.approx(0.3 / 0.9)
    assert at(Measured(str(measured), relative=True), "identity", 0) == 1


def test_changed_table_is_read_again_and_changes_the_identity(measured: Path) -> None:
    rules = parse_rules(f"all:measured:table={measured}")
    before = rules_identity(rules)
    assert at(rules[0].map, "rotate", 0) == 0.9
    write_table(measured, table_with({"identity": curve([0], [1]), "rotate": curve([0], [0.5])}))
    assert at(rules[0].map, "rotate", 0) == 0.5
    assert rules_identity(rules) != before


def test_rules_are_checked_against_the_pipeline(measured: Path) -> None:
    check_rules(parse_rules("all:smoothed,crop:human"), OPERATIONS, by_number(C))
    check_rules(parse_rules(f"all:measured:table={measured}"), ["rotate", "identity"], by_number(C))
    check_rules(parse_rules(f"all:measured:table={measured},flip:smoothed"), ["rotate", "flip"], by_number(C))
    with pytest.raises(InputError, match="'erase', which never occurs"):
        check_rules(parse_rules("erase:smoothed"), ["rotate", "crop"], by_number(C))
    with pytest.raises(InputError, match="'all', which never occurs"):
        check_rules(parse_rules("all:smoothed"), ["identity"], by_number(C))
    with pytest.raises(InputError, match="lacks flip, crop"):
        check_rules(parse_rules(f"all:measured:table={measured}"), ["crop", "rotate", "flip"], by_number(C))
    with pytest.raises(InputError, match="table=FILE"):
        check_rules(parse_rules("all:measured"), ["crop"], by_number(C))
    with pytest.raises(InputError, match=r"absent\.json"):
        check_rules(parse_rules("all:measured:table=absent.json"), ["crop"], by_number(C))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 99}, "format 1"),
        ({"operations": {}}, "identity"),
        ({"operations": {"identity": {"axis": "magnitude", "at": [0], "value": [None], "standard_error": [0]}}}, "got"),
        ({"operations": {"identity": {"axis": "size", "at": [0], "value": [1], "standard_error": [0]}}}, "size"),
        ({"operations": {"identity": {"axis": "magnitude", "at": [1, 0], "value": [1, 1]}}}, "standard_error"),
    ],
)
def test_damaged_tables_are_refused_in_one_line(measured: Path, change: dict[str, object], says: str) -> None:
    content = json.dumps({**json.loads(measured.read_text()), **change}).encode()
    with pytest.raises(InputError) as refusal:
        parse_table(content, "file.json")
    assert "file.json" in str(refusal.value)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def digits(count: int) -> torch.Tensor:
    return torch.from_numpy(open_dataset("digits").train().images[:count])


def test_similarity_of_an_image_to_itself_and_to_its_negative(generator: torch.Generator) -> None:
    images = digits(20)
    for measure in (ms_ssim, contrast_similarity, ncc):
        assert similarities(measure, images, images).numpy() == pytest.approx(1, abs=1e-4)
    assert similarities(ncc, 255 - images, images).numpy() == pytest.approx(-1, abs=1e-5)
    flat = torch.full_like(images, 7)
    assert similarities(ncc, flat, images).abs().max() < 1e-6
    noisy = torch.randint(0, 256, images.shape, dtype=torch.uint8, generator=generator)
    for measure in (ms_ssim, uqi, ncc, scc):
        assert (similarities(measure, noisy, images) < similarities(measure, images, images)).all()


def test_similarity_is_that_of_each_pair_alone() -> None:
    images = digits(6)
    other = images.flip(-1)
    for measure in (ms_ssim, contrast_similarity, uqi, ncc, scc):
        alone = torch.cat([similarities(measure, a[None], b[None]) for a, b in zip(other, images, strict=True)])
        assert similarities(measure, other, images).numpy() == pytest.approx(alone.numpy(), abs=1e-5)


def test_structural_similarity_is_its_definition() -> None:
    """One scale on 8x8 images: the mean, over the windows within the image, of contrast times structure."""
    images = digits(3)
    changed = images // 2 + 20
    x, y = (values[:, 0].double().numpy() / 255 for values in (changed, images))
    width = window_of(8)
    offsets = np.arange(width) - width // 2
    line = np.exp(-(offsets**2) / (2 * deviation_of(width) ** 2))
    kernel = np.outer(line, line) / line.sum() ** 2

    def local(values: NDArray[np.float64]) -> NDArray[np.float64]:
        windows = np.lib.stride_tricks.sliding_window_view(values, kernel.shape, (1, 2))
        return (windows * kernel).sum((-2, -1))

    mx, my = local(x), local(y)
    c2 = 0.03**2
    contrast = (2 * (local(x * y) - mx * my) + c2) / (local(x * x) - mx**2 + local(y * y) - my**2 + c2)
    assert similarities(contrast_similarity, changed, images).numpy() == pytest.approx(contrast.mean((1, 2)), abs=1e-4)


@pytest.mark.parametrize(
    ("side", "window", "scales"), [(8, 7, 1), (11, 11, 1), (28, 11, 2), (32, 11, 2), (64, 11, 3), (176, 11, 5)]
)
def test_windows_and_scales_fit_the_image(side: int, window: int, scales: int) -> None:
    assert (window_of(side), scales_of(side)) == (window, scales)
    images = torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    found = similarities(ms_ssim, images, images)
    assert found.numpy() == pytest.approx(1, abs=1e-4)


def test_squares_leave_the_visibility_that_they_say(generator: torch.Generator) -> None:
    images = torch.full((50, 1, 8, 6), 255, dtype=torch.uint8)
    covered = cover(images, 4, 3, generator)
    assert torch.equal((covered == 0).sum((1, 2, 3)), torch.full((50,), 12))
    assert len({tuple(mask.flatten().tolist()) for mask in covered}) > 5
    probe = choose_probes("erase", Size(8, 6), 7, 0)["erase"]
    for visibility in probe.at:
        seen = (probe.apply(images, float(visibility)) != 0).double().mean((1, 2, 3))
        assert seen.numpy() == pytest.approx(visibility)
    assert probe.at[[0, -1]].tolist() == [0, 1]


class Size:
    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width


def test_every_probe_leaves_images_alone_where_it_does_nothing() -> None:
    images = digits(10).clamp(max=254)  # torchvision's solarize inverts white at every threshold
    nothing = {"posterize": 8.0, "solarize": 1.0, "crop": 1.0, "erase": 1.0, "noise": 1.0}
    for name, probe in choose_probes("all", Size(8, 8), 5, 0).items():
        assert np.all(np.diff(probe.at) > 0)
        if name in ("autocontrast", "equalize", "invert"):
            continue
        assert nothing.get(name, 0.0) in probe.at
        assert torch.equal(probe.apply(images, nothing.get(name, 0.0)), images), name
    assert set(PROBED) == set(OPERATIONS)


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(auglik, ["confidence", *map(str, arguments)])


def tiny(**changes: object) -> list[object]:
    settings = {**{key: value for key, value in SETTINGS.items() if not key.startswith("evaluation_")}, **changes}
    return [part for key, value in settings.items() for part in (f"--{key.replace('_', '-')}", value)]


def test_accuracy_is_measured_on_validation_images_and_taken_by_rules(tmp_path: Path) -> None:
    output = tmp_path / "table.json"
    arguments = ["--output", output, "--points", 3, "--operations", "rotate,erase,flip"]
    result = invoke(*arguments, *tiny(epochs=12, validation_fraction=0.3, train_images=600))
    assert result.exit_code == 0, result.output
    table = parse_table(output.read_bytes(), "table")
    assert list(table.operations) == ["identity", "rotate", "erase", "flip"]
    assert (table.images, table.classes) == (180, C)
    clean = table.operations["identity"]
    assert clean.value[0] > 0.5
    assert clean.standard_error[0] == pytest.approx(
        np.sqrt(clean.value[0] * (1 - clean.value[0]) / (table.images - 1)), rel=1e-6
    )
    assert table.operations["rotate"].at.tolist() == [-135, 0, 135]
    assert table.operations["rotate"].value[1] == clean.value[0]
    assert table.operations["erase"].at.tolist()[::2] == [0, 1]
    assert table.operations["erase"].value[0] < 0.3
    check_rules(parse_rules(f"all:measured:table={output}"), ["rotate", "erase", "flip", "identity"], by_number(C))

    again = tmp_path / "again.json"
    result = invoke("--run", tmp_path / "table-reference", "--output", again, *arguments[2:])
    assert result.exit_code == 0, result.output
    assert parse_table(again.read_bytes(), "again").operations["rotate"].value.tolist() == (
        table.operations["rotate"].value.tolist()
    )


def test_an_interrupted_reference_goes_on_with_the_threads_of_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    arguments = ["--output", tmp_path / "table.json", "--points", 2, "--operations", "flip", *tiny(epochs=2)]
    with monkeypatch.context() as patch:
        patch.setattr(command, "stop_on_signals", lambda: nullcontext(StopAt(3)))
        assert "interrupted" in invoke(*arguments, "--threads", 2).output
    assert invoke(*arguments, "--threads", 1).exit_code == 0
    assert torch.load(tmp_path / "table-reference" / "checkpoint.pt", weights_only=True)["threads"] == 2
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("measure", ["ms-ssim", "uqi", "ncc", "scc"])
def test_similarity_is_measured_without_a_network(measure: str, tmp_path: Path) -> None:
    output = tmp_path / "table.json"
    result = invoke(
        "--measure", measure, "--output", output, "--points", 3, "--images", 20, "--operations", "contrast,erase"
    )
    assert result.exit_code == 0, result.output
    table = parse_table(output.read_bytes(), "table")
    assert (table.measure, table.images) == (measure, 20)
    erased = table.operations["erase"].value
    assert erased[0] < erased[1] < erased[2]
    assert erased[2] == pytest.approx(table.operations["identity"].value[0], abs=1e-4)
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--measure", "ms-sim"], "did you mean 'ms-ssim'"),
        (["--operations", "rotat"], "did you mean 'rotate'"),
        (["--measure", "ncc", "--epochs", "3"], "epochs"),
        (["--run", "absent"], "absent"),
        (["--run", "absent", "--epochs", "3"], "epochs"),
        (["--validation-fraction", "0"], "validation"),
    ],
)
def test_command_refuses_in_one_line(arguments: list[str], says: str, tmp_path: Path) -> None:
    result = invoke("--output", tmp_path / "table.json", *arguments)
    assert result.exit_code == 2, result.output
    assert says in result.output
    assert result.output.count("\n") == 1


def test_command_refuses_a_folder_as_output_before_it_measures(tmp_path: Path) -> None:
    result = invoke("--output", tmp_path, *tiny())
    assert result.exit_code == 2, result.output
    assert "expected a file to write" in result.output
    assert not list(tmp_path.iterdir())


def test_missing_library_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    result = invoke("--output", tmp_path / "table.json", "--measure", "scc")
    assert result.exit_code == 2, result.output
    assert "auglik[similarity]" in result.output


class Halved:
    """1 - magnitude/2; `drawn`, `stateful` and `in_place` are faults."""

    def __init__(self, fault: str = "") -> None:
        self.fault, self.calls = fault, 0

    def confidence(self, operation: str, magnitude: FloatArray, visibility: FloatArray, classes: int) -> FloatArray:
        self.calls += 1
        if self.fault == "drawn":
            return np.random.uniform(0.5, 1, magnitude.shape)  # noqa: NPY002 - the fault
        if self.fault == "in place":
            magnitude *= 0.5
            return 1 - magnitude
        return 1 - magnitude / (2 + (self.fault == "stateful") * self.calls)

    def lacking(self, operations: Iterable[str], class_names: Sequence[str]) -> list[str]:
        return []

    def identity(self) -> str:
        return "halved"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("drawn", "expected the same confidences of identity twice, got others"),
        ("stateful", "expected the same confidences of identity twice, got others"),
        ("in place", "expected strengths of .* that stay as they are, got others"),
    ],
)
def test_a_map_is_a_function_of_strengths_alone(fault: str, said: str) -> None:
    check_map(Halved())
    with pytest.raises(InputError, match=said):
        check_map(Halved(fault))

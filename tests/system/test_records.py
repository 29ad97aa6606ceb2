"""Records of JSON files: what is written is read back, what is damaged is named."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from auglik.objectives import InputError
from auglik.system.records import OtherRecordError, from_json, numbers, read_record, to_json


@dataclass(frozen=True, kw_only=True, slots=True)
class Walk:
    """A field of every kind."""

    name: str
    steps: int
    others: Mapping[str, float] = numbers()
    on: Mapping[str, float] = numbers("on_", "land")
    metres: float
    stops: tuple[str, ...] | None = None
    seats: tuple[int, ...] | None = None
    names: Mapping[str, str]


SAID = {
    "name": "home",
    "steps": 3,
    "height": 2.5,
    "on_land": 1,
    "on_water": None,
    "metres": 2,
    "stops": ["a", "b"],
    "seats": [4, 1],
    "names": {"a": "Ada"},
}


def test_what_is_read_is_written_in_the_same_order() -> None:
    walk = from_json(Walk, SAID, "walk")
    assert (walk.others, walk.on["land"], walk.stops, walk.seats) == ({"height": 2.5}, 1, ("a", "b"), (4, 1))
    assert math.isnan(walk.on["water"])
    assert list(to_json(walk).items()) == list(SAID.items())


def test_what_is_none_is_left_out() -> None:
    said = {name: value for name, value in SAID.items() if name != "stops"}
    assert to_json(from_json(Walk, said, "walk")) == said


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": 3}, "walk: expected name as text, got 3; walk again"),
        ({"steps": 3.0}, "walk: expected steps as a whole number, got 3.0; walk again"),
        ({"steps": True}, "walk: expected steps as a whole number, got True; walk again"),
        ({"metres": "2"}, "walk: expected metres as a number, got '2'; walk again"),
        ({"height": [1]}, r"walk: expected height as a number, got \[1\]: damaged, or of a later version; walk again"),
        ({"on_land": "x"}, "walk: expected on_land as a number, got 'x'; walk again"),
        ({"stops": ["a", 1]}, r"walk: expected stops as a list of texts, got \['a', 1\]; walk again"),
        ({"names": {"a": 1}}, "walk: expected names as texts by name, got {'a': 1}; walk again"),
    ],
)
def test_the_field_of_a_foreign_value_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        from_json(Walk, SAID | changes, "walk", "; walk again")


@pytest.mark.parametrize("name", ["name", "steps", "metres", "names", "on_land"])
def test_a_missing_field_is_named(name: str) -> None:
    with pytest.raises(InputError, match=f"^walk: expected {name}, which is missing$"):
        from_json(Walk, {key: value for key, value in SAID.items() if key != name}, "walk")


def test_a_file_is_a_record_or_none_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "walk.json"
    assert read_record(Walk, path, "walk again") is None
    path.write_text(json.dumps({**SAID, "on_water": 0.5}))
    walk = read_record(Walk, path, "walk again")
    assert walk is not None
    assert walk.on == {"land": 1, "water": 0.5}
    path.write_text("[1, 2]")
    with pytest.raises(InputError, match=r"walk.json: expected an object with name, got \[1, 2\]; walk again$"):
        read_record(Walk, path, "walk again")
    others = {"flight": "a flight"}
    path.write_text(json.dumps({"flight": 1}))
    with pytest.raises(OtherRecordError, match=r" holds a flight$"):
        read_record(Walk, path, "walk again", others)
    path.write_text(json.dumps({**SAID, "flight": 1}))
    assert read_record(Walk, path, "walk again", others) is not None
    path.write_text('{"name": ')
    with pytest.raises(InputError, match=r"^cannot read .*walk.json: .*; walk again$"):
        read_record(Walk, path, "walk again")

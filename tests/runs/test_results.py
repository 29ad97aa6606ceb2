"""What results.json says of a run, read and written."""

import json
from pathlib import Path

import pytest

from auglik.objectives import InputError
from auglik.runs.results import RESULTS, finished
from auglik.system.files import write_json
from auglik.system.records import to_json
from tests.runs.test_earlier_runs import EARLIER

SAID = (EARLIER / "cell" / "seed-0" / RESULTS).read_text()


def test_what_an_earlier_run_wrote_is_written_again_byte_by_byte(tmp_path: Path) -> None:
    (tmp_path / RESULTS).write_text(SAID)
    results = finished(tmp_path)
    assert results is not None
    write_json(tmp_path / "again.json", to_json(results))
    assert (tmp_path / "again.json").read_text() == SAID


def test_a_score_of_a_later_version_is_kept(tmp_path: Path) -> None:
    (tmp_path / RESULTS).write_text(json.dumps({**json.loads(SAID), "rotated_nll": 1.5}))
    results = finished(tmp_path)
    assert results is not None
    assert to_json(results) == {**json.loads(SAID), "rotated_nll": 1.5}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            json.dumps({**json.loads(SAID), "optimizer": "sam"}),
            "expected optimizer as a number, got 'sam': damaged, or of a later version;",
        ),
        (json.dumps({**json.loads(SAID), "seed": "0"}), "expected seed as a whole number, got '0'"),
        (json.dumps({"settings": "of another program"}), "expected cell, which is missing"),
        (SAID[:100], "cannot read "),
    ],
)
def test_a_damaged_or_foreign_file_is_one_line(tmp_path: Path, said: str, message: str) -> None:
    (tmp_path / RESULTS).write_text(said)
    with pytest.raises(InputError, match=message) as refused:
        finished(tmp_path)
    assert str(refused.value).endswith("; delete it to run again")
    assert RESULTS in str(refused.value)
    assert "\n" not in str(refused.value)

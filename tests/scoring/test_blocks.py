"""Large predictions are read some rows at a time: what is made of them is as small as the reductions."""

import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax

from auglik.inference.calibration.bins import outcomes
from auglik.inference.calibration.errors import classwise
from auglik.inference.calibration.temperature import temperature_scaling
from auglik.scoring import blocks
from auglik.scoring.ensembles import score
from auglik.scoring.metrics import scores
from auglik.scoring.predictions import Predictions
from auglik.system import npz
from auglik.system.files import write_npz

N, C = 20_000, 50
LABELS = np.random.default_rng(0).integers(C, size=N)


def drawn(seed: int) -> NDArray[np.float32]:
    return np.asarray(log_softmax(np.random.default_rng(seed).normal(size=(N, C)), -1), np.float32)


def predictions(log_p: NDArray[np.float32]) -> Predictions:
    nothing = np.empty((0, C), np.float32)
    return Predictions(
        log_p, LABELS, np.arange(N), log_p, log_p[None], log_p[None, :, 0], nothing, LABELS[:0], LABELS[:0]
    )


MADE: dict[str, Callable[[NDArray[np.float32]], object]] = {
    "scores": lambda log_p: scores(log_p, LABELS),
    "outcomes": lambda log_p: [part.tolist() for part in outcomes(log_p, LABELS)],
    "classwise": lambda log_p: classwise(log_p, LABELS, 15),
    "temperature": lambda log_p: temperature_scaling((log_p[:100], LABELS[:100]), (log_p, LABELS), 15),
    "ensemble": lambda log_p: score("cell", {0: predictions(log_p), 1: predictions(log_p)}),
}


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_of_predictions_does_not_copy_them(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    log_p = drawn(0)
    whole = MADE[name](log_p)
    monkeypatch.setattr(blocks, "AT_ONCE", 2**12)
    tracemalloc.start()
    try:
        in_blocks = MADE[name](log_p)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < log_p.nbytes
    if name == "classwise":  # sums of sums
        assert in_blocks == pytest.approx(whole, rel=1e-12)
    else:
        assert in_blocks == whole


def test_large_arrays_of_a_file_are_mapped(tmp_path: Path) -> None:
    path, log_p = tmp_path / "arrays.npz", drawn(0)
    write_npz(path, large=log_p, by_columns=log_p.T, small=LABELS[:5], none=log_p[:0], text=np.array("é"))
    tracemalloc.start()
    try:
        found = npz.read_npz(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < log_p.nbytes / 2
    with np.load(path) as expected:
        assert found.keys() == set(expected.files)
        for name, array in found.items():
            np.testing.assert_array_equal(array, expected[name])
            assert array.dtype == expected[name].dtype


def test_damaged_bytes_of_a_mapped_array_are_found(tmp_path: Path) -> None:
    path = tmp_path / "arrays.npz"
    write_npz(path, large=drawn(0))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(zipfile.BadZipFile, match=r"large\.npy"):
        npz.read_npz(path)

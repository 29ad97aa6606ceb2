"""The study of PNG bytes against blur."""

import io
from collections.abc import Sequence

import numpy as np
import pytest
import torch
import xarray
from PIL import Image
from torch import Tensor

from auglik.objectives import InputError
from auglik.studies.information.measure import (
    Measured,
    best_power,
    best_power_by_gradient,
    decoded_differs,
    deflated,
    measure,
    photographs,
    png,
    power_interval,
)
from auglik.studies.information.study import information
from auglik.studies.study import Context, Findings
from auglik.views import mollification

T = np.linspace(0, 1, 11)


def quick(data: str | None = None) -> Findings:
    return information(Context(True, 0, data, lambda share: None))


@pytest.fixture(scope="module")
def findings() -> Findings:
    return quick()


def failing(findings: Findings) -> list[str]:
    return [claim.text for claim in findings.claims if not claim.holds]


def test_every_claim_holds(findings: Findings) -> None:
    assert failing(findings) == []
    assert len(findings.claims) == 10


def test_the_schedule_is_a_table_over_t_that_makes_a_csv(findings: Findings) -> None:
    for name in ("digits", "photographs"):
        schedule, node = findings.data[f"{name}/schedule"].to_dataset(), findings.data[name]
        rows = schedule.to_dataframe().to_csv().splitlines()
        assert rows[0] == "t,bytes,decay,power_law,net_decay,power_law_net"
        assert len(rows) == 1 + len(schedule["t"])
        assert float(node["k_low"]) < float(node["k"]) < float(node["k_high"])
        assert isinstance(schedule, xarray.Dataset)
        np.testing.assert_allclose(schedule["decay"], 1 - schedule["bytes"] / schedule["bytes"][0])


def test_the_k_that_is_said_to_be_for_runs_is_the_one_of_the_remark(findings: Findings) -> None:
    for name in ("digits", "photographs"):
        node = findings.data[name].to_dataset()
        (k,) = [float(values) for values in node.data_vars.values() if "--k-blur" in values.attrs.get("meaning", "")]
        assert any(remark.startswith(name) and remark.endswith(f"use --k-blur {k:.2f}") for remark in findings.remarks)


def test_a_blur_of_the_wrong_sign_fails_a_claim_that_names_the_blur(monkeypatch: pytest.MonkeyPatch) -> None:
    heat_operator = mollification.heat_operator
    monkeypatch.setattr(mollification, "heat_operator", lambda tau, size: heat_operator(-tau.clamp(max=0.2), size))
    assert any(text.startswith("auglik's blur") for text in failing(quick()))


def test_noise_instead_of_blur_is_no_loss_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def speckle(images: Tensor, temperature: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        return images + 60 * temperature[:, None, None, None] * torch.randn(images.shape, generator=generator)

    monkeypatch.setattr(mollification, "blur", speckle)
    failed = failing(quick())
    assert any("photographs: mean PNG bytes fall" in text for text in failed)
    assert any("photographs: R^2" in text for text in failed)


def test_a_set_of_the_user_is_measured_under_its_name(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("sets") / "mine.npz"
    patches = photographs()[:24].transpose(0, 2, 3, 1)
    labels = np.arange(24) % 2
    np.savez(path, train_images=patches, train_labels=labels, test_images=patches[:4], test_labels=labels[:4])
    findings = quick(str(path))
    assert findings.data["mine.npz"]["bytes"].sizes == {"image": 24, "t": 11}
    assert any(claim.text.startswith("mine.npz: R^2") for claim in findings.claims)


def test_a_data_set_that_is_not_there_is_bad_input() -> None:
    with pytest.raises(InputError):
        quick("missing.npz")


@pytest.mark.parametrize("k", [0.4, 1.0, 2.5])
def test_the_power_of_an_exact_power_law_is_found(k: float) -> None:
    assert best_power(T, T**k) == pytest.approx(k, rel=1e-4)
    assert best_power_by_gradient(T, T**k) == pytest.approx(k, rel=1e-9)


def test_the_interval_of_equal_images_is_a_point() -> None:
    sizes = np.tile(np.arange(1100, 0, -100), (7, 1))
    low, high = power_interval(Measured(T, sizes, sizes[:, 0], 0, 0), False, 0, 20)
    assert low == high == pytest.approx(best_power(T, T * 1000 / 1100))


def steps(images: np.ndarray, t: Sequence[float]) -> list[Measured | float]:
    return list(measure(images, np.asarray(t)))


def test_bytes_are_those_of_the_encoded_views() -> None:
    images = photographs()[:2]
    *shares, found = steps(images, [0.5, 1.0])
    assert shares == [0.5, 1.0]
    assert isinstance(found, Measured)
    view = mollification.blur(torch.from_numpy(images).float(), torch.tensor([0.5, 0.5]))[0].round().byte().numpy()
    assert found.bytes[0, 0] == len(png(view))
    assert found.unblurred[1] == len(png(images[1]))
    assert found.bytes.shape == (2, 2)


def test_the_net_decay_subtracts_the_bytes_of_one_colour() -> None:
    found = Measured(np.array([0.0, 1.0]), np.array([[110, 60], [130, 80]]), np.array([120, 140]), 20, 0)
    np.testing.assert_allclose(found.decay(), [0, 1 - 70 / 120])
    np.testing.assert_allclose(found.decay(net=True), [0, 0.5])
    np.testing.assert_allclose(found.decay(net=True, counts=np.array([2, 0])), [0, 1 - 40 / 90])


def test_decoding_tells_a_changed_value(rng: np.random.Generator) -> None:
    for channels in (1, 3):
        image = rng.integers(0, 256, (channels, 5, 7), dtype=np.uint8)
        encoded = png(image)
        assert decoded_differs(encoded, image) == 0
        assert Image.open(io.BytesIO(encoded)).size == (7, 5)
        changed = image.copy()
        changed[0, 2, 3] ^= 1
        assert decoded_differs(encoded, changed) == 1


def test_noise_takes_as_many_bytes_from_zlib_as_from_the_encoder(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (1, 32, 32), dtype=np.uint8)
    assert abs(len(png(image)) - deflated(image)) <= 16

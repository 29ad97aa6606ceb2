"""Data mollification: noise and blur of standardized images at a temperature t.

Heinonen et al. 2025. Noise: x_t = cos(t pi/2) x + sin(t pi/2) eps. Blur: the heat equation with reflecting borders,
x_t = V exp(-tau Lambda) V^T x with V^T the orthonormal DCT-II, Lambda_wh = pi^2 (w^2/W^2 + h^2/H^2), tau = sigma^2/2,
sigma(t) = exp((1-t) log 0.3 + t log W).
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch_dct
from numpy.typing import NDArray
from scipy.special import betaincinv
from torch import Tensor

from auglik.objectives import ROLES, Schedule
from auglik.system.array_types import Float64Array
from auglik.system.devices import constant, send
from auglik.system.splitmix import normals

Blurred = Callable[[Tensor, Tensor, Tensor], Tensor]
Noised = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

MOLLIFICATION = "mollification"
"""Its name among the stages of views; no augmentation has it."""

SIGMA_MIN = 0.3
"""The blur's standard deviation in pixels at t = 0."""


@dataclass(frozen=True)
class Mollification:
    """Gives each view one role and a temperature, as `schedule` says."""

    schedule: Schedule

    @property
    def noisy(self) -> bool:
        """Whether views may have the role noise or both."""
        _, noise, _, both = self.schedule.shares()
        return noise + both > 0

    def numbers(self, generator: np.random.Generator, count: int) -> tuple[Float64Array, Float64Array]:
        """What gives one view of each of `count` images: a number uniform on [0,1) for its role, its temperature."""
        return generator.random(count), generator.beta(self.schedule.alpha, self.schedule.beta, count)

    def role(self, uniforms: Float64Array) -> NDArray[np.uint8]:
        """An index into ROLES, from numbers uniform on [0,1)."""
        return np.searchsorted(np.cumsum(self.schedule.shares())[:-1], uniforms, side="right").astype(np.uint8)

    def draw(self, generator: np.random.Generator, count: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Role (an index into ROLES) and temperature of one view of each of `count` images."""
        uniforms, temperature = self.numbers(generator, count)
        return self.role(uniforms), temperature.astype(np.float32)

    def place(self, uniforms: Float64Array) -> tuple[NDArray[np.uint8], Float64Array]:
        """Role and temperature from two numbers of each view, uniform on (0,1): [...,2]."""
        return self.role(uniforms[..., 0]), betaincinv(self.schedule.alpha, self.schedule.beta, uniforms[..., 1])

    def decay(self, role: NDArray[np.uint8], temperature: NDArray[np.float32]) -> NDArray[np.float32]:
        """gamma of every view, from roles and temperatures of any one shape."""
        t = torch.from_numpy(temperature)
        per_role = [self.schedule.decay(name, t).numpy() for name in ROLES]
        return np.choose(role, per_role).astype(np.float32)


@functools.lru_cache(maxsize=16)
def _spectrum(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The orthonormal DCT-II as a matrix [frequency, pixel], and Lambda along one axis of `size` pixels, float32."""
    dct = torch_dct.dct(torch.eye(size, dtype=torch.float64), norm="ortho").T.float()
    eigenvalues = (torch.arange(size, device=device, dtype=torch.float32) * (math.pi / size)) ** 2
    return send(dct.numpy(), device), eigenvalues


@constant
def spectrum(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    return _spectrum(size, device)


def heat_operator(tau: Tensor, size: int) -> Tensor:
    """V exp(-tau Lambda) V^T along one axis of `size` pixels: [n] -> symmetric matrices [n,size,size]."""
    dct, eigenvalues = spectrum(size, tau.device)
    return dct.T @ (torch.exp(-tau[:, None] * eigenvalues)[:, :, None] * dct)


def heat_time(temperature: Tensor, width: int) -> Tensor:
    """tau(t) = sigma(t)^2 / 2, elementwise, in squared pixels; `width` is the longer side of the image."""
    log_sigma = (1 - temperature) * math.log(SIGMA_MIN) + temperature * math.log(width)
    return 0.5 * torch.exp(2 * log_sigma)


def blur(images: Tensor, temperature: Tensor) -> Tensor:
    """x_t of images [n,c,H,W] at temperatures [n]: one small matrix per image and axis, applied to both sides."""
    n, c, H, W = images.shape
    tau = heat_time(temperature, max(H, W))  # an image and its transpose keep as much
    along_width = heat_operator(tau, W)
    along_height = along_width if H == W else heat_operator(tau, H)
    rows = torch.bmm(images.reshape(n, c * H, W), along_width)
    columns = rows.view(n, c, H, W).transpose(2, 3).reshape(n, c * W, H)
    return torch.bmm(columns, along_height).view(n, c, W, H).transpose(2, 3)


def add_noise(images: Tensor, temperature: Tensor, eps: Tensor) -> Tensor:
    """x_t of images [n,c,H,W] at temperatures [n], eps standard normal; its memory is used."""
    angle = (temperature * (math.pi / 2))[:, None, None, None]
    return images * torch.cos(angle) + eps.mul_(torch.sin(angle))


def blurred(images: Tensor, where: Tensor, temperature: Tensor) -> Tensor:
    """The views `where` [n] of images [V,c,H,W], blurred at temperatures [V]."""
    return blur(images[where], temperature[where])


def noised(images: Tensor, where: Tensor, temperature: Tensor, starts: Tensor) -> Tensor:
    """The views `where` [n] of images [V,c,H,W], noised at temperatures [V] by streams that start at int64 [V]."""
    return add_noise(images[where], temperature[where], normals(starts[where], *images.shape[1:]))


def mollify(
    images: Tensor,
    role: NDArray[np.uint8],
    temperature: Tensor,
    noise: Tensor | None,
    blurred: Blurred = blurred,
    noised: Noised = noised,
) -> None:
    """Mollifies views in place: images [K B,c,H,W], roles [K,B] on the host, temperatures and starts of noise [K,B].

    A view that plays both roles is blurred, then noised. The host knows every role, so nothing waits for the device.
    """
    device, temperature = images.device, temperature.flatten()
    if len(positions := plays(role, "blur", "both")):
        where = send(positions, device)
        images.index_copy_(0, where, blurred(images, where, temperature))
    if len(positions := plays(role, "noise", "both")):
        assert noise is not None
        where = send(positions, device)
        images.index_copy_(0, where, noised(images, where, temperature, noise.flatten()))


def plays(role: NDArray[np.uint8], *names: str) -> NDArray[np.int64]:
    """Where `role` is one of `names`: positions in the flattened array."""
    wanted = np.array([role_name in names for role_name in ROLES])
    return np.flatnonzero(wanted[role])

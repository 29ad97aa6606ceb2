"""What the code of training does: temperatures, roles and decays that are drawn, and views that are rendered."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from auglik.data import channel_statistics
from auglik.objectives import Schedule
from auglik.studies.information.measure import photographs
from auglik.system.array_types import Float64Array
from auglik.system.keys import host_generator
from auglik.views import Gallery, Pipeline, Shape, mollification
from auglik.views.mollification import Mollification

NOISED = Schedule(clean=0, noise=1, blur=0, alpha=1, beta=1)
"""Every view noised, at temperatures that cover [0,1] evenly."""


class Drawn(NamedTuple):
    """Views [n]."""

    role: NDArray[np.uint8]
    temperature: Float64Array
    decay: Float64Array


def draw(schedule: Schedule, count: int, seed: int) -> Drawn:
    """`count` views as training draws them."""
    drawing = Mollification(schedule)
    role, temperature = drawing.draw(host_generator(seed, "schedules", repr(schedule)), count)
    return Drawn(role, temperature.astype(np.float64), drawing.decay(role, temperature).astype(np.float64))


def amplitudes(t: Float64Array) -> tuple[Float64Array, Float64Array]:
    """What a noised view at t [T] holds of the image and of the noise: of an image 1 without noise, and of noise 1."""
    ones, temperature = torch.ones(len(t), 1, 1, 1, dtype=torch.float64), torch.from_numpy(t)
    image = mollification.add_noise(ones, temperature, torch.zeros_like(ones))
    noise = mollification.add_noise(torch.zeros_like(ones), temperature, ones.clone())
    return image.flatten().numpy(), noise.flatten().numpy()


class Noised(NamedTuple):
    """Rendered views [n]: temperature, signal-to-noise ratio, and the standard error of its logarithm."""

    temperature: Float64Array
    snr: Float64Array
    standard_error: Float64Array


def noised_views(views: int, seed: int) -> Noised:
    """The SNR of `views` noised views of each of 120 patches of photographs, rendered as in training.

    A view is regressed on its image: the squared slope is the power of the signal in units of the image's own, the
    residual variance that of the noise. For slope c, noise s^2 and d pixels of mean square m the logarithm of the ratio
    has the variance 4 s^2/(c^2 m d) + 2/d.
    """
    images = photographs()
    gallery = Gallery.pack(images, *channel_statistics(images), torch.device("cpu"))
    pipeline = Pipeline(Shape(*images.shape[1:]), (), Mollification(NOISED))
    draws, places = pipeline.draw(seed, 0, views, len(images), torch.device("cpu")), np.arange(len(images))
    x = gallery.clean(slice(None)).double().flatten(1).numpy()
    seen = pipeline.render(gallery, draws, places).images.double().flatten(2).numpy()
    pixels, power = x.shape[1], np.square(x).mean(1)
    slope = (seen * x).mean(2) / power
    noise = np.square(seen - slope[..., None] * x).sum(2) / (pixels - 1)
    error = np.sqrt(4 * noise / (slope**2 * power * pixels) + 2 / pixels)
    return Noised(*(values.astype(np.float64).ravel() for values in (draws.temperature, slope**2 / noise, error)))


def deviation(t: Float64Array, width: int) -> Float64Array:
    """sigma(t) of the blur in pixels."""
    return np.sqrt(2 * mollification.heat_time(torch.from_numpy(t), width).numpy())


def blurred(images: Float64Array, t: float) -> Float64Array:
    """Images [n,c,H,W] as training blurs them, in float32."""
    views = mollification.blur(torch.from_numpy(images).float(), torch.full((len(images),), t))
    return views.double().numpy()

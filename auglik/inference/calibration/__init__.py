"""Calibration of cells whose runs differ by seed, as Bayesian models, with the estimates that are usually reported.

Reliability. Seed s has n_sb images in equal-width bin b of confidence, k_sb right, mean confidence m_sb:

    k_sb ~ BetaBinomial(n_sb, kappa mu_sb, kappa (1 - mu_sb)),   logit mu_sb = logit m_sb + delta_b + e_b

delta [B] is the cell's curve, sigmoid(logit m_b + delta_b): a parabola in the logits of confidence, under a prior so
wide that it goes where the images say, and a Gaussian process about it. 1/sqrt(kappa), log-normal with median 0.05, is
how seeds scatter about the curve.

Logistic recalibration (Cox 1958). logit p(correct) = a_s + b_s logit(confidence) + e, (a_s, b_s) ~ Normal about the
cell's (a, b), all standardized; (0, 1) is calibrated. On 40 groups of images of like confidence per seed.

What is claimed. Seeds are judged on the same images, so S seeds of N images are not SN images: e is the luck with the
test images, common to the seeds, of variance rho / (n p (1-p)), and counts are divided by 1 - rho, so that a seed's
total variance is the binomial one; rho is the correlation of the seeds' errors on an image. Images that seeds put into
different bins make a luck common to all bins. So the bands hold for other seeds and other images like these. With one
seed kappa is infinite, rho = 0, and the bands are about that network alone.

Calibration error. The binned ECE is a sum of absolute values, positive in every draw of such a posterior, however
well calibrated a network is; so it has none. It has the debiased estimate, and an interval that inverts tests (see
interval.py) and whose lower limit is 0 where the networks at hand may be calibrated. `auglik verify calibration`
counts how often the intervals hold what they are about.
"""

from auglik.inference.calibration.cells import calibrate
from auglik.inference.calibration.errors import classwise, debiased, debiased_squared, plug_in
from auglik.inference.calibration.interval import ErrorInterval, ece_interval
from auglik.inference.calibration.results import Band, Calibration, CellCalibration, Curve, RunErrors
from auglik.inference.calibration.simulate import BiasRow, Estimate, bias_table
from auglik.inference.calibration.storage import save
from auglik.inference.calibration.temperature import Scaling, scaled, temperature_scaling
from auglik.inference.convergence import Diagnostics

__all__ = [
    "Band",
    "BiasRow",
    "Calibration",
    "CellCalibration",
    "Curve",
    "Diagnostics",
    "ErrorInterval",
    "Estimate",
    "RunErrors",
    "Scaling",
    "bias_table",
    "calibrate",
    "classwise",
    "debiased",
    "debiased_squared",
    "ece_interval",
    "plug_in",
    "save",
    "scaled",
    "temperature_scaling",
]

"""Objectives for classifiers trained on K augmented views of each image: a likelihood x an aggregator."""

from objectives.categorical import Categorical
from objectives.contracts import Aggregator, Likelihood
from objectives.diagnostics import negative_share, view_gradients
from objectives.dirichlet import Dirichlet
from objectives.durbin_koopman import DurbinKoopman
from objectives.errors import InputError
from objectives.focal import Focal
from objectives.geometric import Geometric
from objectives.geometric_normalized import GeometricNormalized
from objectives.jackknife import Jackknife
from objectives.jensen import Jensen
from objectives.label_relaxation import LabelRelaxation
from objectives.label_smoothing import LabelSmoothing
from objectives.log_mean import LogMean
from objectives.noisy_dirichlet import NoisyDirichlet
from objectives.objective import Objective
from objectives.power_mean import PowerMean
from objectives.schedule import ROLES, Schedule
from objectives.sink import Sink
from objectives.smoothed import Smoothed
from objectives.smoothed_normalized import SmoothedNormalized
from objectives.smoothed_normalized_schedule import SmoothedNormalizedSchedule
from objectives.tempered import Tempered
from objectives.tempered_normalized import TemperedNormalized

LIKELIHOODS: dict[str, Likelihood] = {
    "categorical": Categorical(),
    "tempered": Tempered(),
    "tempered-normalized": TemperedNormalized(),
    "smoothed": Smoothed(),
    "smoothed-normalized": SmoothedNormalized(),
    "smoothed-normalized-schedule": SmoothedNormalizedSchedule(),
    "dirichlet": Dirichlet(),
    "noisy-dirichlet": NoisyDirichlet(),
    "sink": Sink(),
    "label-smoothing": LabelSmoothing(),
    "label-relaxation": LabelRelaxation(),
    "focal": Focal(),
}

AGGREGATORS: dict[str, Aggregator] = {
    "jensen": Jensen(),
    "log-mean": LogMean(),
    "durbin-koopman": DurbinKoopman(),
    "geometric": Geometric(),
    "geometric-normalized": GeometricNormalized(),
    "power-mean": PowerMean(),
    "jackknife": Jackknife(),
}

__all__ = [
    "AGGREGATORS",
    "LIKELIHOODS",
    "ROLES",
    "Aggregator",
    "Categorical",
    "Dirichlet",
    "DurbinKoopman",
    "Focal",
    "Geometric",
    "GeometricNormalized",
    "InputError",
    "Jackknife",
    "Jensen",
    "LabelRelaxation",
    "LabelSmoothing",
    "Likelihood",
    "LogMean",
    "NoisyDirichlet",
    "Objective",
    "PowerMean",
    "Schedule",
    "Sink",
    "Smoothed",
    "SmoothedNormalized",
    "SmoothedNormalizedSchedule",
    "Tempered",
    "TemperedNormalized",
    "negative_share",
    "view_gradients",
]

"""Objectives for classifiers trained on K augmented views of each image: a likelihood x an aggregator."""

from auglik.objectives.aggregators.durbin_koopman import DurbinKoopman
from auglik.objectives.aggregators.geometric import Geometric
from auglik.objectives.aggregators.geometric_normalized import GeometricNormalized
from auglik.objectives.aggregators.jackknife import Jackknife
from auglik.objectives.aggregators.jensen import Jensen
from auglik.objectives.aggregators.log_mean import LogMean
from auglik.objectives.aggregators.multilevel import Multilevel
from auglik.objectives.aggregators.power_mean import PowerMean
from auglik.objectives.aggregators.sumo import Sumo
from auglik.objectives.aggregators.thermodynamic import Thermodynamic
from auglik.objectives.contracts import Aggregator, Likelihood
from auglik.objectives.diagnostics import negative_share, view_gradients
from auglik.objectives.errors import InputError
from auglik.objectives.likelihoods.categorical import Categorical
from auglik.objectives.likelihoods.dirichlet import Dirichlet
from auglik.objectives.likelihoods.focal import Focal
from auglik.objectives.likelihoods.label_relaxation import LabelRelaxation
from auglik.objectives.likelihoods.label_smoothing import LabelSmoothing
from auglik.objectives.likelihoods.noisy_dirichlet import NoisyDirichlet
from auglik.objectives.likelihoods.sink import Sink
from auglik.objectives.likelihoods.smoothed import Smoothed
from auglik.objectives.likelihoods.smoothed_normalized import SmoothedNormalized
from auglik.objectives.likelihoods.smoothed_normalized_schedule import SmoothedNormalizedSchedule
from auglik.objectives.likelihoods.tempered import Tempered
from auglik.objectives.likelihoods.tempered_normalized import TemperedNormalized
from auglik.objectives.objective import Objective
from auglik.objectives.schedule import ROLES, Schedule

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
    "thermodynamic": Thermodynamic(),
    "sumo": Sumo(),
    "multilevel": Multilevel(),
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
    "Multilevel",
    "NoisyDirichlet",
    "Objective",
    "PowerMean",
    "Schedule",
    "Sink",
    "Smoothed",
    "SmoothedNormalized",
    "SmoothedNormalizedSchedule",
    "Sumo",
    "Tempered",
    "TemperedNormalized",
    "Thermodynamic",
    "negative_share",
    "view_gradients",
]

"""Self-supervised pretraining: SimSiam with pairs of crops softened by their overlap, and probes of its features."""

from auglik.pretraining.config import PretrainConfig, ResolvedPretraining, resolve, resolved, settings_hash
from auglik.pretraining.pair_weights import PAIR_WEIGHTS, PairWeight
from auglik.pretraining.probes import features_of, linear_accuracy, neighbour_accuracy
from auglik.pretraining.runs import PretrainJob, execute, make_job, threads_of
from auglik.pretraining.simsiam import SimSiam, build_simsiam, pair_losses
from auglik.pretraining.training import Pretrained, pretrain

__all__ = [
    "PAIR_WEIGHTS",
    "PairWeight",
    "PretrainConfig",
    "PretrainJob",
    "Pretrained",
    "ResolvedPretraining",
    "SimSiam",
    "build_simsiam",
    "execute",
    "features_of",
    "linear_accuracy",
    "make_job",
    "neighbour_accuracy",
    "pair_losses",
    "pretrain",
    "resolve",
    "resolved",
    "settings_hash",
    "threads_of",
]

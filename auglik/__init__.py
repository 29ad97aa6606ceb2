"""auglik: under which likelihood should a classifier be trained when its inputs are augmented?"""

from auglik.cells import MAIN_CELLS, Cell, plan
from auglik.comparison import differences, table
from auglik.config import EvaluationConfig, RunConfig, ViewConfig, change, flatten
from auglik.data import DATASETS, Arrays, Source, open_dataset
from auglik.engines import Engine, Local, Outcome
from auglik.evaluation import Evaluation, evaluate
from auglik.experiments import Place, carry_out, collect, make_plan
from auglik.metrics import marginal_log_likelihood, scores
from auglik.networks import NETWORKS, Network, build_network
from auglik.predictions import Predictions, load_predictions
from auglik.prepare import load_training, pipeline_of, read_facts, resolve, training_pipeline
from auglik.runs import Job, execute
from auglik.statistics import Interval, paired_difference, summary
from auglik.training import Trained, train
from auglik.version import __version__
from auglik.views import Augmentation, FlipCropRotate, Gallery, Mollification, Pipeline, Views
from auglik.views.mixing import MIXINGS
from auglik.views.registry import AUGMENTATIONS
from objectives import (
    AGGREGATORS,
    LIKELIHOODS,
    Aggregator,
    InputError,
    Likelihood,
    Objective,
    Schedule,
    negative_share,
    view_gradients,
)

__all__ = [
    "AGGREGATORS",
    "AUGMENTATIONS",
    "DATASETS",
    "LIKELIHOODS",
    "MAIN_CELLS",
    "MIXINGS",
    "NETWORKS",
    "Aggregator",
    "Arrays",
    "Augmentation",
    "Cell",
    "Engine",
    "Evaluation",
    "EvaluationConfig",
    "FlipCropRotate",
    "Gallery",
    "InputError",
    "Interval",
    "Job",
    "Likelihood",
    "Local",
    "Mollification",
    "Network",
    "Objective",
    "Outcome",
    "Pipeline",
    "Place",
    "Predictions",
    "RunConfig",
    "Schedule",
    "Source",
    "Trained",
    "ViewConfig",
    "Views",
    "__version__",
    "build_network",
    "carry_out",
    "change",
    "collect",
    "differences",
    "evaluate",
    "execute",
    "flatten",
    "load_predictions",
    "load_training",
    "make_plan",
    "marginal_log_likelihood",
    "negative_share",
    "open_dataset",
    "paired_difference",
    "pipeline_of",
    "plan",
    "read_facts",
    "resolve",
    "scores",
    "summary",
    "table",
    "train",
    "training_pipeline",
    "view_gradients",
]

from .comparison.compare import compare
from .comparison.loaded import Comparison, load
from .data import DATASETS, Arrays, Source, open_dataset
from .experiments.cells import MAIN_CELLS, Cell, plan
from .experiments.differences import differences, table
from .experiments.engines.engine import Engine, Outcome
from .experiments.engines.local import Local
from .experiments.plan import Place, carry_out, collect, make_plan
from .networks import NETWORKS, Network, build_network
from .objectives import (
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
from .report import Report, ReportSettings, write_report
from .runs.evaluation import Evaluation, evaluate
from .runs.resolve import load_training, pipeline_of, read_facts, resolve, training_pipeline
from .runs.resolved import ResolvedRun, resolved
from .runs.run import Job, execute
from .runs.settings import EvaluationConfig, RunConfig, change, flatten
from .runs.training import Trained, train
from .runs.transform import ViewTransform
from .runs.view_settings import ViewConfig
from .scoring.intervals import Interval, paired_difference, summary
from .scoring.metrics import marginal_log_likelihood, scores
from .scoring.predictions import Predictions, load_predictions
from .version import __version__
from .views import Augmentation, FlipCropRotate, Gallery, Mollification, Pipeline, Views
from .views.mixing.contract import MIXINGS
from .views.registry import AUGMENTATIONS

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
    "Comparison",
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
    "Report",
    "ReportSettings",
    "ResolvedRun",
    "RunConfig",
    "Schedule",
    "Source",
    "Trained",
    "ViewConfig",
    "ViewTransform",
    "Views",
    "__version__",
    "build_network",
    "carry_out",
    "change",
    "collect",
    "compare",
    "differences",
    "evaluate",
    "execute",
    "flatten",
    "load",
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
    "resolved",
    "scores",
    "summary",
    "table",
    "train",
    "training_pipeline",
    "view_gradients",
    "write_report",
]

"""The studies by name."""

from auglik.studies.calibration.study import calibration
from auglik.studies.composition.study import composition
from auglik.studies.dirichlet.study import dirichlet
from auglik.studies.estimators.study import estimators
from auglik.studies.gradients.study import gradients
from auglik.studies.information.study import information
from auglik.studies.invariance.study import invariance
from auglik.studies.normalizer.study import normalizer
from auglik.studies.objectives.study import objectives
from auglik.studies.orbit.study import orbit
from auglik.studies.posterior.study import posterior
from auglik.studies.sampling.study import sampling
from auglik.studies.schedules.study import schedules
from auglik.studies.study import Study
from auglik.studies.verdicts.study import verdicts

STUDIES: dict[str, Study] = {
    "objectives": objectives,
    "normalizer": normalizer,
    "dirichlet": dirichlet,
    "estimators": estimators,
    "orbit": orbit,
    "gradients": gradients,
    "posterior": posterior,
    "sampling": sampling,
    "information": information,
    "schedules": schedules,
    "composition": composition,
    "invariance": invariance,
    "calibration": calibration,
    "verdicts": verdicts,
}

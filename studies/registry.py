"""The studies by name."""

from studies.calibration import calibration
from studies.dirichlet import dirichlet
from studies.estimators import estimators
from studies.gradients import gradients
from studies.information import information
from studies.normalizer import normalizer
from studies.objectives import objectives
from studies.orbit import orbit
from studies.posterior import posterior
from studies.study import Study
from studies.verdicts import verdicts

STUDIES: dict[str, Study] = {
    "objectives": objectives,
    "normalizer": normalizer,
    "dirichlet": dirichlet,
    "estimators": estimators,
    "orbit": orbit,
    "gradients": gradients,
    "posterior": posterior,
    "information": information,
    "calibration": calibration,
    "verdicts": verdicts,
}

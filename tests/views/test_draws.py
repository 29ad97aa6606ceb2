"""Draws come from the host and depend on no kernel: their digests are the same whatever the processor can do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from auglik.objectives import Schedule
from auglik.views import Mollification, Pipeline, Shape, Step
from auglik.views.mixing.contract import MIXINGS
from auglik.views.registry import AUGMENTATIONS

OLD = {"ATEN_CPU_CAPABILITY": "default", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512_SKX X86_V3 X86_V4"}
"""A processor of twenty years ago, for torch and NumPy; NumPy warns of features that its version or machine lacks."""


def digests() -> dict[str, list[str]]:
    """Of two views of 400 images under every augmentation and every mixing."""
    found = {}
    for shape in (Shape(3, 32, 32), Shape(1, 28, 20)):
        mollification = Mollification(Schedule(both=1, alpha=0.7))
        pipelines = {name: Pipeline(shape, (Step(name, of),), mollification) for name, of in AUGMENTATIONS.items()}
        pipelines |= {name: Pipeline(shape, (), mollification, mixing) for name, mixing in MIXINGS.items()}
        for name, pipeline in pipelines.items():
            draws = pipeline.draw(0, 0, 2, 400, torch.device("cpu"))
            found[f"{name} {shape.width}"] = draws.view_digests()
    return found


def test_digests_are_the_same_without_vector_instructions() -> None:
    program = "import json; from tests.views.test_draws import digests; print(json.dumps(digests()))"
    made = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **OLD},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(made.stdout) == digests()

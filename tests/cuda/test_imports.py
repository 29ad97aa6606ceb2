"""Importing the package leaves CUDA alone: a process that only plans or reports takes no memory of a card, and may fork."""

import subprocess
import sys

from tests.test_layout import ROOT

CHILD = """
import importlib, pkgutil, torch
def refused():
    raise SystemExit("CUDA was begun")
torch.cuda._lazy_init = refused
for package in ("auglik", "auglik.objectives", "auglik.cli", "auglik.studies"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        {planted}
        importlib.import_module(module.name)
print("imported")
"""

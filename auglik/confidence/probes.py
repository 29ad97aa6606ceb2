"""Probes of a confidence map."""

from collections.abc import Mapping

import numpy as np

from auglik.confidence.contract import ConfidenceMap
from auglik.objectives.probes import Probe, expect
from auglik.views.augmentation import OPERATIONS

CLASSES, POINTS = 10, 5


def confidences(chosen: ConfidenceMap) -> str:
    """p [n] of every operation that it has figures for, over magnitudes and visibilities in [0,1]."""
    strengths, known = np.linspace(0, 1, POINTS, dtype=np.float32), _known(chosen)
    for operation in known:
        p = np.asarray(chosen.confidence(operation, strengths.copy(), 1 - strengths, CLASSES))
        expect(p.shape == (POINTS,), f"confidences [n] = {[POINTS]} of {operation}", list(p.shape))
        inside = bool(((p >= 1 / CLASSES - 1e-6) & (p <= 1 + 1e-6)).all())
        expect(inside, f"confidences of {operation} from 1/C = {1 / CLASSES:g} to 1", f"{p.min():.3g} to {p.max():.3g}")
    return f"{len(known)} of {len(OPERATIONS)} operations"


def repeated(chosen: ConfidenceMap) -> str:
    """The same p of the same strengths, which it leaves as they are."""
    strengths = np.linspace(0, 1, POINTS, dtype=np.float32)
    for operation in _known(chosen):
        found = []
        for _ in range(2):
            given = strengths.copy(), 1 - strengths
            found.append(np.array(chosen.confidence(operation, *given, CLASSES)))
            kept = all(map(np.array_equal, given, (strengths, 1 - strengths)))
            expect(kept, f"strengths of {operation} that stay as they are", "others: it changes them in place")
        expect(
            found[0].tobytes() == found[1].tobytes(),
            f"the same confidences of {operation} twice",
            "others: is it drawn from a global generator?",
        )
    return "the same bits twice"


def identity(chosen: ConfidenceMap) -> str:
    expect(isinstance(chosen.identity(), str), "identity() as text", repr(chosen.identity()))
    expect(chosen.identity() == chosen.identity(), "the same identity twice", "another")
    return chosen.identity()


def _known(chosen: ConfidenceMap) -> list[str]:
    """The operations that it has figures for."""
    lacking = chosen.lacking(OPERATIONS, [str(number) for number in range(CLASSES)])
    return [name for name in OPERATIONS if name not in lacking]


MAP_PROBES: Mapping[str, Probe[ConfidenceMap]] = {
    "confidences": confidences,
    "repeated": repeated,
    "identity": identity,
}


def check_map(chosen: ConfidenceMap) -> None:
    """Raises InputError for the first probe that fails."""
    for probe in MAP_PROBES.values():
        probe(chosen)

"""What a program defines itself: what is kept of it, and that nothing else than the program has is kept silently."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from auglik import InputError
from auglik.comparison.named import text_of

CLASS = """
from dataclasses import dataclass
from typing import ClassVar

from auglik.objectives.aggregators.jensen import Jensen
{before}

@dataclass(frozen=True)
class Mean:
    formula: ClassVar[str] = "mean"
    source: ClassVar[str] = "me"
    minimum_views: ClassVar[int] = 1
    trains: ClassVar[bool] = True
    likelihood_power: ClassVar[float] = 0.0
    remarks: ClassVar[tuple[str, ...]] = ()
    s: float = 1.0

    def fold(self, table: {annotation}, weight=None, log_importance=None):
        return {used} * Jensen().fold(table, weight, log_importance)

    def predictive(self, log_probabilities):
        return Jensen().predictive(log_probabilities)
{after}
"""


class Program:
    """Runs text as the program that this process is."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch

    def __call__(
        self, *, first: str = "", before: str = "", annotation: str = "object", used: str = "1.0", after: str = ""
    ) -> ModuleType:
        text = first + CLASS.format(before=before, annotation=annotation, used=used, after=after)
        file, main = self.folder / "script.py", ModuleType("__main__")
        file.write_text(text)
        main.__file__ = str(file)
        self.monkeypatch.setitem(sys.modules, "__main__", main)
        exec(compile(text, file, "exec", dont_inherit=True), vars(main))
        return main

    def kept(self, **parts: str) -> str:
        """What a run imports."""
        text = str(text_of("aggregator", self(**parts).Mean(), self.folder / "out"))
        return Path(text.partition(":")[0]).read_text()

    def refused(self, **parts: str) -> str:
        main = self(**parts)
        with pytest.raises(InputError) as refusal:
            text_of("aggregator", main.Mean(), self.folder / "out")
        assert "\n" not in str(refusal.value)
        assert not (self.folder / "out").exists()
        return str(refusal.value)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    return Program(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("before", "used", "after"),
    [
        ("W = [1.0, 1.0]", "W[0]", ""),
        ("class W:\n    at = float('nan')", "(W.at == 0) or self.s", ""),
        ("import numpy as np\ndef twice(x):\n    return np.asarray(2 * x)", "float(twice(1.0))", ""),
        ("class Other:\n    value = (1, [2])\n    own = property(lambda self: 1)", "Other.value[0]", ""),
        ("class Unit:\n    pass\nclass Two:\n    inside = Unit()", "(1 if Two.inside else 0)", "print(Mean.s)"),
        ("from functools import lru_cache\n@lru_cache\ndef one():\n    return 1.0", "one()", "one()"),
        ("import torch\nclass Grid:\n    at = torch.linspace(0, 1, 3)", "float(Grid.at[2])", "torch.manual_seed(0)"),
        ("W = 1.0\nX: float", "W", "W: float"),
        ("import math", "math.pi", "if True:\n    import math\n    print(math.e)"),
        ("from enum import Enum\nclass Mode(Enum):\n    A = 1\nW = {Mode.A: 1.0}", "W[Mode.A]", ""),
        ("def f():\n    return 1.0\nW = {f: 1.0}\nX = {f}", "W[f] * len(X)", ""),
        ("import logging\nclass Log:\n    log = logging.getLogger(__name__)", "(1.0 if Log.log else 0.0)", ""),
        ("class P:\n    __slots__ = ('x',)\nclass Q:\n    p = P()\n    p.x = [1.0]", "Q.p.x[0]", ""),
        ("value = float(2)", "[value for value in (1.0, self.s)][0]", ""),
        ("", "1.0", "for table in (1.0, 2.0):\n    pass\nweight = float(table)"),
        ("class W:\n    s = 1.0\n    half = s / 2", "W.half", "s = float(3)"),
        ("at = 1.0\nclass W:\n    at = at", "W.at", ""),
        ("at = 1.0\nclass W:\n    if not __debug__:\n        at = 2.0\n    found = at", "W.found", ""),
        ("at = 1.0\nclass W:\n    for at in ():\n        pass\n    found = at", "W.found", ""),
        ("def one(of, at=1.0):\n    found = of * at\n    return found", "one(1.0)", "found = of = len('a')"),
        (
            "from functools import wraps\ndef counted(f):\n    @wraps(f)\n    def g(*a):\n        g.calls += 1\n"
            "        return f(*a)\n    g.calls = 0\n    return g\n@counted\ndef one():\n    return 1.0",
            "one()",
            "one()",
        ),
    ],
)
def test_what_a_program_leaves_as_it_is_can_be_kept(before: str, used: str, after: str, program: Program) -> None:
    assert "class Mean" in program.kept(before=before, used=used, after=after)


@pytest.mark.parametrize(
    ("before", "used", "after"),
    [
        ("W = [1.0]\nW[0] = 3.0", "W[0]", ""),
        ("W = [1.0]\nW.append(3.0)", "W[0]", ""),
        ("W = [1.0]\ndef more():\n    W.append(3.0)\nmore()", "W[0]", ""),
        ("W = {'s': 1.0}\nW.update(s=50.0)", "W['s']", ""),
        ("W = 1.0\ndef setup():\n    global W\n    W = 50.0\nsetup()", "W", ""),
        ("def W():\n    return 1.0", "W()", "W = lambda: 2.0" + "\nMean.fold.x = 1"),
        ("class W:\n    at = 1.0", "W.at", "W.at = 2.0"),
        ("from math import pi as W", "W", "globals().update(W=3.0)"),
        ("", "self.s", "Mean.s = 5.0"),
        ("", "self.s", "Mean.fold = lambda self, table, weight=None, log_importance=None: 0 * table.mean(0)"),
        ("", "self.s", "Mean.fold.__defaults__ = (1, None)"),
    ],
)
def test_what_a_program_changes_is_refused(before: str, used: str, after: str, program: Program) -> None:
    said = program.refused(before=before, used=used, after=after)
    assert re.match(r"Mean: (W, which it needs, )?was changed by the program: put (both|it) into a module", said)


def test_an_object_of_a_class_that_was_defined_again_is_refused(program: Program, tmp_path: Path) -> None:
    old = program().Mean()
    program(used="2.0")
    with pytest.raises(InputError, match="expected an object of the Mean that the program has now"):
        text_of("aggregator", old, tmp_path)


@pytest.mark.parametrize(
    ("before", "used"),
    [
        ("import beside_a", "beside_a.SCALE"),
        ("from beside_a import SCALE", "SCALE"),
        ("def scale():\n    from beside_a import SCALE\n    return SCALE", "scale()"),
        ("from below_a.deep import SCALE", "SCALE"),
    ],
)
def test_what_lies_beside_the_program_is_refused(
    before: str, used: str, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its edits would not count: stale runs would pass for new ones."""
    (tmp_path / "below_a").mkdir()
    for name in ("beside_a", "below_a/deep"):
        (tmp_path / f"{name}.py").write_text("SCALE = 1.0\n")
        monkeypatch.delitem(sys.modules, name.replace("/", "."), raising=False)
    monkeypatch.delitem(sys.modules, "below_a", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    said = program.refused(before=before, used=used)
    assert re.match(r"Mean: (beside_a|below_a.deep), which it needs, lies beside the program", said)


def test_what_only_annotations_need_from_beside_the_program_is_left_out(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "noted_a.py").write_text("class Table:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "noted_a" not in program.kept(before="from noted_a import Table", annotation="'Table'")


def test_imports_from_the_future_are_kept(program: Program) -> None:
    first = "from __future__ import annotations\n"
    own = "    def twice(self) -> Mean:\n        return Mean(2 * self.s)"
    assert program.kept(first=first, after=own).startswith("from __future__ import annotations\n")


@pytest.mark.parametrize("quoted", [False, True])
def test_names_that_only_annotations_have_may_be_missing(quoted: bool, program: Program) -> None:
    before = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from torch import Tensor\nLoaded = type('L', (), {})"
    )
    first, tensor, loaded = ("", "'Tensor'", "'Loaded'") if quoted else (
        "from __future__ import annotations\n", "Tensor", "Loaded")  # fmt: skip
    own = f"    def more(self, other: {loaded}):\n        return other"
    assert "Loaded =" not in program.kept(first=first, before=before, annotation=tensor, after=own)


def test_what_a_quoted_annotation_names_is_kept(program: Program) -> None:
    """Else dataclasses would take a quoted ClassVar for a field."""
    text = program.kept(after='    unit: "ClassVar[float]" = 1.0\n    other: "Final[float]" = 1.0',
                        before="from typing import Final")  # fmt: skip
    assert "from typing import Final" in text


def test_what_only_some_branch_imports_is_computed(program: Program) -> None:
    said = program.refused(before="if True:\n    import math", used="math.pi")
    assert said.startswith("Mean: math, which it needs, is computed by the program: put both into a module")


@pytest.mark.parametrize(
    ("before", "used"),
    [
        ("W = float(2)", "W"),
        ("W = float(2)\ndef one(at=W):\n    return at", "one()"),
        ("W = float(2)\nclass One:\n    W = W", "One.W"),
        ("W = type('W', (), {'s': 1.0})\nclass One(W):\n    pass", "One.s"),
        ("W = len\nW = staticmethod(W)\ndef one():\n    return [W for _ in (1,)]", "len(one())"),
    ],
)
def test_what_a_program_computes_is_refused_wherever_it_is_read(before: str, used: str, program: Program) -> None:
    said = program.refused(before=before, used=used)
    assert said.startswith("Mean: W, which it needs, is computed by the program: put both into a module")


NOTEBOOK = """
import math

import torch
{cut}
from auglik.objectives.aggregators.jensen import Jensen as Own
class Mean(Own):
    def fold(self, table, weight=None, log_importance=None):
        return torch.mul(super().fold(table, weight, log_importance), math.cos(0.0))
"""


class Transformer:
    """IPython's, for cells without magics."""

    def transform_cell(self, cell: str) -> str:
        return cell


@pytest.mark.parametrize("cells", [1, 2])
@pytest.mark.parametrize("change", ["", "Mean.fold = Own.fold", "math = torch"])
def test_a_notebook_compiles_each_statement_by_itself(
    cells: int, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = ModuleType("__main__")
    main.In = NOTEBOOK.format(cut="###" if cells > 1 else "").split("###")  # type: ignore[attr-defined]
    assert len(main.In) == cells
    monkeypatch.setitem(sys.modules, "__main__", main)
    transformers = ModuleType("inputtransformer2")
    transformers.TransformerManager = Transformer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.core", ModuleType("IPython.core"))
    monkeypatch.setitem(sys.modules, "IPython.core.inputtransformer2", transformers)
    for cell in main.In:
        for statement in ast.parse(cell).body:
            exec(compile(ast.Module([statement], []), "<cell>", "exec", dont_inherit=True), vars(main))
    if change:
        exec(change, vars(main))
        with pytest.raises(InputError, match=r"Mean: (math, which it needs, )?was changed by the program"):
            text_of("aggregator", main.Mean, tmp_path)
    else:
        assert "class Mean" in Path(str(text_of("aggregator", main.Mean, tmp_path)).partition(":")[0]).read_text()


def test_what_a_session_of_ipython_defines_can_be_kept(tmp_path: Path) -> None:
    pytest.importorskip("IPython")
    script = f"""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in {NOTEBOOK.format(cut="###").split("###")!r}:
    shell.run_cell(cell, store_history=True).raise_error()
shell.run_cell("from auglik.comparison.named import text_of", store_history=True)
shell.run_cell("kept = text_of('aggregator', Mean, __import__('pathlib').Path('out'))").raise_error()
print(shell.user_ns["kept"])
"""
    environment = {**os.environ, "IPYTHONDIR": str(tmp_path / "ipython")}
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert re.search(r"out/code/Mean_\w+\.py:Mean$", found.stdout.strip())

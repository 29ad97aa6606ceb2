"""What a program or notebook defines itself, kept as a file that runs in other processes can import.

From a program's top level, a class or function needs the imports, definitions and constants that its source names, and
those that these name in turn. They are copied; everything else, which would run, is not.
"""

import ast
import builtins
import hashlib
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from auglik.objectives import InputError
from auglik.system.files import atomic_write, ensure_writable

CODE_FOLDER = "code"
Definition = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


def kept_code(name: str, output: Path) -> Path:
    """The file, below `output` and named by its content, that defines `name` as the program does.

    Raises InputError if the program's source is unavailable, and for names that the program computes.
    """
    definitions: dict[str, tuple[int, Definition, str]] = {}
    computed: set[str] = set()
    for place, (statement, text) in enumerate(_statements()):
        bound = _bound(statement)
        computed = (computed - bound) if _is_definition(statement) else (computed | bound)
        for one in bound:
            definitions.pop(one, None)
            if isinstance(statement, Definition) and _is_definition(statement):
                definitions[one] = (place, statement, text)
    needed, waiting = dict[int, str](), [name]
    seen: set[str] = set()
    while waiting:
        one = waiting.pop()
        if one in seen or (one not in definitions and (one not in computed or hasattr(builtins, one))):
            continue
        seen.add(one)
        if one in computed:
            raise InputError(
                f"{name}: {one}, which it needs, is computed by the program: put both into a module and import {name}"
            )
        place, statement, text = definitions[one]
        needed[place] = text
        waiting += [node.id for node in ast.walk(statement) if isinstance(node, ast.Name)]
    if name not in seen:
        raise InputError(f"{name}: expected its source in the program, got none: put it into a module and import it")
    content = "\n\n".join(needed[place] for place in sorted(needed)) + "\n"
    path = output / CODE_FOLDER / f"{name}_{hashlib.sha256(content.encode()).hexdigest()[:12]}.py"
    if not path.exists():
        ensure_writable(path.parent)
        atomic_write(path, partial(_write, content))
    return path


def _write(content: str, file: BinaryIO) -> None:
    file.write(content.encode())


def _statements() -> Iterator[tuple[ast.stmt, str]]:
    """The top level of the program in the order in which it ran, each statement with its source."""
    for text in _texts():
        try:
            statements = ast.parse(text).body
        except SyntaxError:
            continue  # a cell that never ran
        lines = text.splitlines()
        for statement in statements:
            decorators = getattr(statement, "decorator_list", [])
            first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
            yield statement, "\n".join(lines[first - 1 : statement.end_lineno])


def _texts() -> list[str]:
    """The program's file, or a notebook's cells without magics."""
    main = sys.modules["__main__"]
    if (file := getattr(main, "__file__", None)) is not None and Path(file).is_file():
        return [Path(file).read_text(encoding="utf-8")]
    cells = getattr(main, "In", None)
    if not isinstance(cells, list):
        return []
    from IPython.core.inputtransformer2 import TransformerManager  # there, as the program is its notebook

    return [TransformerManager().transform_cell(str(cell)) for cell in cells]


def _is_definition(statement: ast.stmt) -> bool:
    """Whether it may be copied: a constant calls nothing."""
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        return not any(isinstance(node, ast.Call | ast.Await | ast.NamedExpr) for node in ast.walk(statement))
    return isinstance(statement, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a statement of the top level defines."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
    if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return {statement.name}
    return {
        node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    } | {node.name for node in ast.walk(statement) if isinstance(node, ast.FunctionDef | ast.ClassDef)}

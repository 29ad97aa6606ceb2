"""Which names of the top level a statement of it refers to."""

import __future__

import ast
import dis
from collections.abc import Iterator
from contextlib import suppress
from types import CodeType

_BRANCHES = (ast.If, ast.For, ast.While, ast.Try, ast.TryStar, ast.With, ast.Match)
_READS = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")


def flags_of(imports: str) -> int:
    """The compiler's flags by imports from `__future__`."""
    found = (one for one in ast.parse(imports).body if isinstance(one, ast.ImportFrom))
    names = {alias.name for one in found for alias in one.names}
    return sum(getattr(__future__, name).compiler_flag for name in names)


def needed_by(statement: ast.stmt, flags: int) -> set[str]:
    """The names that it reads, now or when it is called: none of its functions' and classes' own."""
    try:
        code = compile(ast.Module([statement], []), "<statement>", "exec", flags, dont_inherit=True)
    except SyntaxError:  # that parses, such as a return outside a function: of a cell that never ran
        return set()
    return {*_globals(code, {*_stored_at_times(statement)})}


def _globals(code: CodeType, at_times: set[str]) -> Iterator[str]:
    """The names of the top level that compiled code reads; a class's own are so until it stores them for certain."""
    stored = set[str]()
    for step in dis.get_instructions(code):
        if step.opname == "STORE_NAME":
            stored.add(step.argval)
        elif step.opname in _READS and (step.argval not in stored or step.argval in at_times):
            yield step.argval
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _globals(inner, at_times)


def _stored_at_times(statement: ast.stmt) -> Iterator[str]:
    """The names that bodies of classes store in branches, loops and the like, which may not be taken."""
    bodies = (node.body for node in ast.walk(statement) if isinstance(node, ast.ClassDef))
    for node in (inner for body in bodies for one in body if isinstance(one, _BRANCHES) for inner in ast.walk(one)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]


def annotated(statement: ast.stmt) -> set[str]:
    """The names in its annotations, quoted ones too."""
    noted = [note for node in ast.walk(statement) for note in _annotations(node)]
    found, literal = set[str](), set[int]()
    for node in (node for note in noted for node in ast.walk(note)):
        if isinstance(node, ast.Subscript) and "Literal" in (
            getattr(node.value, "id", None), getattr(node.value, "attr", None),
        ):  # fmt: skip
            literal |= {id(one) for one in ast.walk(node.slice)}
    for node in (node for note in noted for node in ast.walk(note) if id(node) not in literal):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            with suppress(SyntaxError):
                quoted = ast.walk(ast.parse(node.value, mode="eval"))
                found |= {one.id for one in quoted if isinstance(one, ast.Name)}
    return found


def _annotations(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.arg | ast.AnnAssign):
        return [node.annotation] if node.annotation is not None else []
    return [node.returns] if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns else []

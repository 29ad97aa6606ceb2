"""What a program or notebook defines itself, kept as a file that runs in other processes can import.

From a program's top level, a class or function needs the imports, definitions and constants that its source names, and
those that these name in turn. They are copied; everything else, which would run, is not.
"""

import ast
import builtins
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, NamedTuple

from auglik.comparison.referenced import annotated, flags_of, needed_by
from auglik.comparison.unchanged import same
from auglik.objectives import InputError
from auglik.settings.foreign import is_installed_file
from auglik.system.files import atomic_write, ensure_writable

CODE_FOLDER = "code"
Definition = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


class _Definition(NamedTuple):
    place: int
    statement: Definition
    text: str


class _Program(NamedTuple):
    """The top level of a program, as it ended."""

    definitions: dict[str, _Definition]
    computed: set[str]
    future: list[str]
    """Its imports from `__future__`, which change what the rest means."""

    @property
    def flags(self) -> int:
        return flags_of("\n".join(self.future))

    def names(self, one: str) -> tuple[set[str], set[str]]:
        """The names that a definition needs, and others, of annotations that are not evaluated."""
        statement = self.definitions[one].statement
        needed = needed_by(statement, self.flags)
        return needed, annotated(statement) - needed

    def needed(self, name: str) -> set[str]:
        """The names that a name needs, directly or not, with it. Raises InputError for those that cannot be kept."""
        found, waiting = set[str](), [name]
        while waiting:
            one = waiting.pop()
            known = one in self.definitions or (one in self.computed and not hasattr(builtins, one))
            if one in found or not known:
                continue
            if one in self.computed:
                what = f"{name}: {one}, which it needs,"
                raise InputError(f"{what} is computed by the program: put both into a module and import {name}")
            _check_imports(name, self.definitions[one].statement)
            found.add(one)
            waiting += self.names(one)[0]
        return found


def kept_code(name: str, made: object, output: Path) -> Path:
    """The file, below `output` and named by its content, that defines `name`, which is `made`, as the program does.

    Raises InputError if the program's source is unavailable, for names that the program computes or changes, and for
    imports of modules beside it.
    """
    program = _read()
    needed = program.needed(name)
    if name not in needed:
        raise InputError(f"{name}: expected its source in the program, got none: put it into a module and import it")
    waiting, read = [*needed], {*needed}
    while waiting:  # what only annotations name is kept where it can be: they may be read
        for one in program.names(waiting.pop())[1] - needed:
            with suppress(InputError):
                more = program.needed(one) - needed
                needed |= more
                waiting += more
    kept = {program.definitions[one].place: program.definitions[one].text for one in needed}
    texts = [kept[place] for place in sorted(kept)]
    content = "\n\n".join([*dict.fromkeys(program.future), *texts]) + "\n"
    path = output / CODE_FOLDER / f"{name}_{hashlib.sha256(content.encode()).hexdigest()[:12]}.py"
    units = [content] if _file() is not None else texts  # a notebook compiles each statement by itself
    _check_unchanged(name, made, read, units, program.flags)
    if not path.exists():
        ensure_writable(path.parent)
        atomic_write(path, partial(_write, content))
    return path


def _read() -> _Program:
    program = _Program({}, set(), [])
    for place, (statement, text) in enumerate(_statements()):
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            program.future.append(text)
            continue
        stored, imported = _bound(statement), _imported(statement)
        for one in stored | imported:
            known = program.definitions.get(one)
            again = one not in stored and not isinstance(statement, ast.Import | ast.ImportFrom)
            if again and known and isinstance(known.statement, ast.Import | ast.ImportFrom):
                continue  # imported in a branch once more: _check_unchanged sees whether it is another module
            program.definitions.pop(one, None)
            program.computed.discard(one)
            if isinstance(statement, Definition) and _is_definition(statement):
                program.definitions[one] = _Definition(place, statement, text)
            else:
                program.computed.add(one)
    return program


def _check_imports(name: str, statement: ast.stmt) -> None:
    """Raises InputError for a module beside the program or in the working folder: no digest of the copy reaches it."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = ["" if node.level else str(node.module)]
        else:
            continue
        for module in modules:
            if module == "" or _is_beside(module.partition(".")[0]):
                raise InputError(
                    f"{name}: {module or 'what it imports from its package'}, which it needs, lies beside the program,"
                    f" where its edits would pass unseen: put {name} into a module too, and import it"
                )


def _is_beside(top: str) -> bool:
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    if spec is None or top == "auglik":
        return False
    places = [spec.origin] if spec.origin and spec.has_location else list(spec.submodule_search_locations or [])
    file = getattr(sys.modules["__main__"], "__file__", None)
    folders = {Path.cwd().resolve(), *([Path(file).resolve().parent] if file else [])}
    found = {*map(Path, places), *(Path(place).resolve() for place in places)}
    return not any(map(is_installed_file, found)) and any(not folders.isdisjoint(place.parents) for place in found)


def _check_unchanged(name: str, made: object, needed: set[str], units: list[str], flags: int) -> None:
    """Raises InputError where the program changed something after its text was run.

    `units` of the text are compiled apart, with the compiler's `flags`: a call of an imported module's function has
    other bytecode where the import is in another unit.
    """
    live, copied = vars(sys.modules["__main__"]), ModuleType(f"auglik_kept_{name}")
    if live.get(name) is not made:
        raise InputError(
            f"{name}: expected an object of the {name} that the program has now, got one of an earlier: make it again"
        )
    sys.modules[copied.__name__] = copied  # where dataclasses look for it
    try:
        for unit in units:
            exec(compile(unit, f"<{name}>", "exec", flags, dont_inherit=True), vars(copied))
    except Exception:
        return  # said, with the line, when the file is imported
    finally:
        del sys.modules[copied.__name__]
    for one in sorted(needed):
        if one in live and not same(live[one], vars(copied).get(one)):
            what, which = ("", "it") if one == name else (f"{one}, which it needs, ", "both")
            raise InputError(f"{name}: {what}was changed by the program: put {which} into a module and import {name}")


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
            if isinstance(statement, ast.If) and _is_for_types(statement.test):
                if not statement.orelse:
                    continue
                statement = ast.If(ast.Constant(True), statement.orelse, [])
                ast.fix_missing_locations(statement)
                yield statement, ""
                continue
            decorators = getattr(statement, "decorator_list", [])
            first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
            yield statement, "\n".join(lines[first - 1 : statement.end_lineno])


def _is_for_types(test: ast.expr) -> bool:
    """Whether it is `TYPE_CHECKING`, which is false where the program runs."""
    return "TYPE_CHECKING" in (getattr(test, "id", None), getattr(test, "attr", None))


def _file() -> Path | None:
    """The program's; a notebook has none."""
    file = getattr(sys.modules["__main__"], "__file__", None)
    return Path(file) if file is not None and Path(file).is_file() else None


def _texts() -> list[str]:
    """The program's file, or a notebook's cells without magics."""
    if (file := _file()) is not None:
        return [file.read_text(encoding="utf-8")]
    cells = getattr(sys.modules["__main__"], "In", None)
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
    """The names that a statement of the top level defines, but for imports."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return {statement.name}
    if isinstance(statement, ast.AnnAssign) and statement.value is None:
        return set()
    found = set[str]()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
    return found


def _imported(statement: ast.stmt) -> set[str]:
    """The names that a statement of the top level imports, itself or in one of its branches."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return set()
    imports = (node for node in ast.walk(statement) if isinstance(node, ast.Import | ast.ImportFrom))
    return {(alias.asname or alias.name).partition(".")[0] for node in imports for alias in node.names}

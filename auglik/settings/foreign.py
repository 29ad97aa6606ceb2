"""A user's own code by import path, `package.module:Name` or `path/to/file.py:Name`: the only place that imports it.

A module is searched for on Python's path and in the working folder, a file at its path. While it is
imported, so are modules next to it (a file) or in the working folder (a module) if they are not installed:
files there cannot replace anything that auglik or its libraries import.
"""

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from auglik.objectives.errors import InputError
from auglik.settings.names import nearest
from auglik.settings.sources import reached

IMPORT_PATH = re.compile(r"([^:,]+\.py|[^\W\d]\w*(?:\.[^\W\d]\w*)*):([^\W\d]\w*)((?::\w+=.*)?)")
"""Source, name and parameters; after the colon of a built-in name comes a parameter, which has a `=`."""


class MissingCodeError(InputError):
    """A user's own code that is not where it was, or cannot be imported."""


class Code(NamedTuple):
    """What an import path means."""

    text: str
    """As it names a run: SOURCE:Name, a file by its absolute path."""
    name: str
    file: Path
    value: object
    digest: str
    """SHA-256 of the source of its module and of the local modules that it imports, directly or not."""

    @property
    def known_as(self) -> str:
        """The same wherever the file is."""
        return f"{self.digest}:{self.name}"


class _Imported(NamedTuple):
    module: ModuleType
    root: Path
    """The folder that its imports are resolved from."""
    stamp: tuple[int, int]
    """Of its file at the time of import."""
    folder: Path
    """The working folder at that time."""


_IMPORTED: dict[str, _Imported] = {}
_CODE: dict[tuple[str, tuple[int, int]], Code] = {}


def load(source: str, name: str) -> Code:
    """The object `name` of a file or module. Raises InputError, with file and line, if it cannot be imported."""
    if source.endswith(".py"):
        file = Path(os.path.abspath(source))  # noqa: PTH100 - a link's neighbours are those beside it
        source = str(file)
        if not file.is_file():
            raise MissingCodeError(f"{source}:{name}: expected a Python file, got a path that does not exist")
        imported = _imported_file(file)
    else:
        imported = _imported_module(source)
    text = f"{source}:{name}"
    if (key := (text, imported.stamp)) not in _CODE:
        if not hasattr(imported.module, name):
            raise MissingCodeError(
                f"{text}: no such name in {imported.module.__file__}{nearest(name, _public(imported))}"
            )
        value = getattr(imported.module, name)
        file = Path(str(imported.module.__file__))
        files = {file: imported.root}
        owner = sys.modules.get(getattr(value, "__module__", None) or type(value).__module__)
        if owner is not None and (found := getattr(owner, "__file__", None)) and found.endswith(".py"):
            files.setdefault(Path(found), _root(owner))
        _CODE[key] = Code(text=text, name=name, file=file, value=value, digest=_digest(files))
    return _CODE[key]


def _public(imported: _Imported) -> list[str]:
    own = {name for name, value in vars(imported.module).items() if not inspect.ismodule(value)}
    return [name for name in own if not name.startswith("_")]


def _digest(files: dict[Path, Path]) -> str:
    """Of files, each with the folder that its imports are resolved from, and of what they import from there."""
    state = hashlib.sha256()
    for file, root in files.items():
        kept = _is_installed(root)
        for place, content in reached(file, root, lambda name: kept or _spec_elsewhere(name, root) is not None):  # noqa: B023
            state.update(f"{place}\n{hashlib.sha256(content).hexdigest()}\n".encode())
    return state.hexdigest()


def _root(module: ModuleType) -> Path:
    """The folder that contains a module's top-level package."""
    file = Path(str(module.__file__))
    depth = module.__name__.count(".") + (file.name == "__init__.py")
    return file.parents[min(depth, len(file.parents) - 1)]


def _is_installed(root: Path) -> bool:
    """Whether it is one of Python's own folders, whose other packages are identified by versions, not sources."""
    return any(root == Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")) or (
        root.name in ("site-packages", "dist-packages")
    )


def is_installed_file(file: Path) -> bool:
    """Whether it lies in one of Python's own folders, or below it."""
    return any(_is_installed(folder) for folder in file.parents)


def _stamp(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_size


def _imported_file(file: Path) -> _Imported:
    name = f"auglik_own_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"
    stamp = _stamp(file)
    if name in _IMPORTED and _IMPORTED[name].stamp == stamp:
        return _IMPORTED[name]
    loader = _Uncached(name, str(file))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    before, module = set(sys.modules), importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for it
    try:
        with _one_line(str(file), file.parent), _local_modules(file.parent):
            loader.exec_module(module)
    except InputError:
        del sys.modules[name]
        raise
    finally:
        for other in set(sys.modules) - before - {name}:
            if isinstance(getattr(sys.modules[other], "__loader__", None), _Uncached):
                del sys.modules[other]  # else a file in another folder would get this one's neighbours
    _IMPORTED[name] = _Imported(module, file.parent, stamp, file.parent)
    return _IMPORTED[name]


def _imported_module(source: str) -> _Imported:
    top, folder = source.partition(".")[0], Path.cwd()
    if source in _IMPORTED:
        imported = _IMPORTED[source]
        if _stamp(Path(str(imported.module.__file__))) != imported.stamp:
            raise InputError(f"{source}: {imported.module.__file__} has been edited since it was imported: restart")
        if folder != imported.folder:
            here = PathFinder.find_spec(top, [str(folder)])
            if here is not None and here.origin is not None and not _is_of(here, imported.root, top):
                raise InputError(f"{source}: was imported from {imported.root}, and is in {folder} too: restart")
        return imported
    importlib.invalidate_caches()
    here, elsewhere = PathFinder.find_spec(top, [str(folder)]), _spec_elsewhere(top, folder)
    if elsewhere is not None and here is not None and here.origin is None:
        here = None  # a folder of that name that is no package, as a checkout may be
    if elsewhere is not None and here is not None:
        raise InputError(
            f"{source}: {top} is both installed ({_place(elsewhere)}) and in the working folder ({_place(here)}): give"
            " the path of the file, path/to/file.py:Name, or work in another folder"
        )
    if elsewhere is None and here is None:
        raise MissingCodeError(
            f"{source}: expected a module that is installed or in the working folder, found no {top}"
        )
    local = _local_modules(folder) if here is not None else contextlib.nullcontext()
    with _one_line(source, folder if here is not None else Path(_place(elsewhere)).parent), local:
        module = importlib.import_module(source)
    if not str(getattr(module, "__file__", None)).endswith(".py"):
        raise InputError(f"{source}: expected a module with Python source, whose digest can be taken, got another kind")
    _IMPORTED[source] = _Imported(module, _root(module), _stamp(Path(str(module.__file__))), folder)
    return _IMPORTED[source]


def _is_of(spec: ModuleSpec, folder: Path, name: str) -> bool:
    """Whether it belongs to the module or package of that name in the folder."""
    return Path(_place(spec)).parent in (folder, folder / name)


def _place(spec: ModuleSpec | None) -> str:
    if spec is None:
        return ""
    return spec.origin or next(iter(spec.submodule_search_locations or [""]))


def _spec_elsewhere(name: str, folder: Path) -> ModuleSpec | None:
    """Where Python finds a top-level module, unless in the folder itself."""
    for finder in sys.meta_path:
        if isinstance(finder, _Local) or (spec := finder.find_spec(name, None)) is None:
            continue
        return None if _is_of(spec, folder, name) else spec
    return None


class _Uncached(SourceFileLoader):
    """Compiles the file as it is now: bytecode of the same second and length would pass for it."""

    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        return self.source_to_code(self.get_data(self.path), self.path)


class _Local:
    """Finds modules in a folder that exist nowhere else, and the modules of its packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is None and _spec_elsewhere(name, self.folder) is not None:
            return None
        places = [str(self.folder)] if path is None else list(path)
        if not all(self.folder == Path(place) or self.folder in Path(place).parents for place in places):
            return None
        spec = PathFinder.find_spec(name, places)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Uncached(name, spec.loader.path)
        return spec


@contextlib.contextmanager
def _local_modules(folder: Path) -> Iterator[None]:
    finder = _Local(folder)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextlib.contextmanager
def _one_line(source: str, root: Path) -> Iterator[None]:
    try:
        yield
    except (Exception, SystemExit) as error:
        raise MissingCodeError(f"{source}: cannot be imported: {line_of(error, root)}") from None


def line_of(error: BaseException, root: Path) -> str:
    """`file:line: error` on one line, for the innermost line of code below `root`, if any."""
    what = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    places = [frame for frame in traceback.extract_tb(error.__traceback__) if root in Path(frame.filename).parents]
    return f"{places[-1].filename}:{places[-1].lineno}: {what}" if places else what


def place_in_own_code(error: BaseException) -> str:
    """`file:line: ` of the innermost line of foreign code that an error passed, of whichever setting; else nothing."""
    names, place = {source.partition(".")[0] for source in _IMPORTED}, ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        own = str(frame.f_globals.get("__name__")).partition(".")[0] in names
        if own or isinstance(frame.f_globals.get("__loader__"), _Uncached):
            place = f"{frame.f_code.co_filename}:{line}: " if frame.f_code.co_filename[0] != "<" else place
    return place


@contextlib.contextmanager
def said_of(code: Code) -> Iterator[None]:
    """Turns errors into a one-line InputError that names the code, with file and line unless it was an InputError."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error) if code.text in str(error) else f"{code.text}: {error}") from None
    except (Exception, SystemExit) as error:
        raise InputError(f"{code.text}: {line_of(error, code.file.parent)}") from None

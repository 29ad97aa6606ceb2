"""The source files that a file reaches by its imports: read, not run, so that they depend only on the files."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path


def reached(file: Path, root: Path, elsewhere: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """The content of a file and of the local modules that it imports, directly or not, each with its path below `root`.

    A file outside packages has no path: it may have any name. Top-level names that are found `elsewhere`
    are not followed, except those of the file's own package.
    """
    own = file.relative_to(root).parts
    yield "" if len(own) == 1 else "/".join(own), file.read_bytes()
    seen, waiting = {file}, [file]
    found: dict[str, bytes] = {}
    while waiting:
        module = waiting.pop()
        for name in _imported(module, root):
            top = name.partition(".")[0]
            if top != own[0] and elsewhere(top):
                continue
            for path in _files(root, name):
                if path not in seen:
                    seen.add(path)
                    waiting.append(path)
                    found[path.relative_to(root).as_posix()] = path.read_bytes()
    yield from sorted(found.items())


def _files(root: Path, name: str) -> list[Path]:
    """The files that run when a module of that name below `root` is imported."""
    found = []
    for depth in range(name.count(".") + 1):
        place = root.joinpath(*name.split(".")[: depth + 1])
        found += [place.with_name(f"{place.name}.py"), place / "__init__.py"]
    return [path for path in found if path.is_file()]


def _imported(file: Path, root: Path) -> Iterator[str]:
    """The names of modules that a file may import, packages included; names inside modules do no harm."""
    package = file.relative_to(root).parts[:-1]
    if package:
        yield ".".join(package)
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*start, *([node.module] if node.module else [])])
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")

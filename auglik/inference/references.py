"""Which cell each cell is compared with."""

from collections.abc import Container, Iterable, Iterator, Mapping

from auglik.objectives.errors import InputError


def compared(cells: Iterable[str], references: Mapping[str, str], known: Container[str]) -> Iterator[tuple[str, str]]:
    """Each cell that isn't its own reference, and its reference.

    Raises InputError for a cell without a reference, or whose reference is not `known`.
    """
    for cell in cells:
        reference = references.get(cell)
        if reference is None or reference not in known:
            raise InputError(f"expected a reference among the cells for {cell!r}, got {reference!r}: is it misspelt?")
        if cell != reference:
            yield cell, reference

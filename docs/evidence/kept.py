"""The comparisons that a page of evidence is made from, from what is kept beside it."""

import tomllib
from itertools import combinations
from pathlib import Path

from auglik.report.collect import Collected, collect

HERE = Path(__file__).parent


def conditions_of(page: str) -> list[str]:
    """In the order of the page; none on pages of blocks."""
    path = HERE / page / "conditions.toml"
    return list(tomllib.loads(path.read_text())["conditions"]) if path.exists() else []


def own(page: str, root: Path) -> dict[str, Collected]:
    """The kept comparisons of those of a page's conditions that are in `root`."""
    kept = root / page / "kept"
    return {one: collect(kept / one) for one in conditions_of(page) if (kept / one).exists()}


def mollified(page: str, root: Path) -> dict[str, Collected]:
    """The references of conditions of other pages that differ in mollification alone, as cells `without` and `with`."""
    found = {}
    for title, (of, without, with_) in MOLLIFIED.items():
        one, other = (collect(root / of / "kept" / condition) for condition in (without, with_))
        cells = {"without": one.cells["smoothed"], "with": other.cells["smoothed"]}
        found[title] = one._replace(cells=cells, references=dict.fromkeys(cells, "without"))
    return found


def of_cells(page: str, root: Path) -> dict[str, Collected]:
    """Every cell of a page without conditions as the cell `cell`, beside its reference."""
    return beside(collect(root / page / "kept"))


def of_condition(page: str, root: Path) -> dict[str, Collected]:
    """Every cell of a page's one condition as the cell `cell`, beside its reference."""
    [one] = own(page, root).values()
    return beside(one)


def beside(one: Collected) -> dict[str, Collected]:
    """Every cell but the reference as the cell `cell`, beside that as `reference`."""
    [name] = set(one.references.values())
    return {
        cell: one._replace(cells={"reference": one.cells[name], "cell": one.cells[cell]}, references={})
        for cell in one.cells
        if cell != name
    }


def of_claims(page: str, root: Path) -> dict[str, Collected]:
    """The cells that Appendix C names, of a page without conditions."""
    return {cell: one for cell, one in of_cells(page, root).items() if cell in ("log-mean", "corrected", "normalized")}


def of_conditions(page: str, root: Path) -> dict[str, Collected]:
    """Every cell of every condition as the cell `cell`, beside its condition's reference."""
    found = own(page, root)
    return {f"{condition}, {cell}": of for condition, one in found.items() for cell, of in beside(one).items()}


def of_pairs(page: str, root: Path) -> dict[str, Collected]:
    """Every two cells of a page's one condition, the earlier as `reference` and the later as `cell`."""
    [one] = own(page, root).values()
    return {
        f"{cell} less {reference}": one._replace(
            cells={"reference": one.cells[reference], "cell": one.cells[cell]}, references={}
        )
        for reference, cell in combinations(one.cells, 2)
    }


MOLLIFIED = {
    "digits, small-cnn, FCR": ("what-turns-it", "no-mollification", "base"),
    "digits, small-cnn, FCR + TrivialAugment": ("what-turns-it", "trivial-augment-only", "trivial-augment"),
    "CIFAR-10, fast-resnet, FCR + TrivialAugment": ("network-or-data", "no-mollification", "base"),
}
"""Page, condition without and condition with mollification."""

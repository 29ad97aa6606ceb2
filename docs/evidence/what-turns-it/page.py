"""Writes the table and the picture of docs/evidence/what-turns-it.md, from kept/ alone.

python docs/evidence/what-turns-it/page.py
"""

import re
import tomllib
from pathlib import Path

from auglik.inference.differences.infer import decided, paired_differences
from auglik.inference.differences.rows import Primary
from auglik.report.collect import collect
from auglik.report.figures.forest import Forest, Line, forest
from auglik.report.figures.svg import svg_file

HERE = Path(__file__).parent
PAGE = HERE.with_suffix(".md")
TABLE = re.compile(r"(<!-- table -->\n).*?(<!-- end -->\n)", re.DOTALL)
ROPE = 0.005
CELLS = {"log-mean": "log-mean", "corrected": "durbin-koopman", "normalized": "normalized", "tempered": "tempered"}
"""Compared with the reference, and what the objective is called."""


def main() -> None:
    rows, errors = measured()
    text, found = TABLE.subn(lambda match: match[1] + table(rows, errors) + match[2], PAGE.read_text())
    assert found == 1, f"{PAGE} has no place for the table"
    PAGE.write_text(text)
    panels = [panel(CELLS[cell], of_cell) for cell, of_cell in rows.items() if cell in ("log-mean", "corrected")]
    drawings = [forest(one, one.title) for one in panels]
    (HERE / "forest.svg").write_text(svg_file(drawings, "Clean NLL less that of smoothed + jensen, by condition", 2))


def measured() -> tuple[dict[str, dict[str, Primary]], dict[str, float]]:
    """Every cell's differences by condition, each cell's conditions a family of Holm; the reference's clean errors."""
    conditions = tomllib.loads((HERE / "conditions.toml").read_text())["conditions"]
    kept = {name: collect(HERE / "kept" / name) for name in conditions}
    rows: dict[str, dict[str, Primary]] = {}
    for cell in CELLS:
        pairs, differences = [], []
        for one in kept.values():
            of_two = {
                name: {s: run.predictions for s, run in one.cells[name].runs.items()} for name in ("smoothed", cell)
            }
            [pair], [difference], _ = paired_differences(of_two, {"smoothed": "smoothed", cell: "smoothed"})
            pairs.append(pair)
            differences.append(difference)
        primary = decided(pairs, differences, rope=ROPE, family=len(conditions))
        rows[cell] = dict(zip(conditions, primary, strict=True))
    scores = {name: one.cells["smoothed"].scores("clean_error") for name, one in kept.items()}
    return rows, {name: sum(of_seeds) / len(of_seeds) for name, of_seeds in scores.items()}


def table(rows: dict[str, dict[str, Primary]], errors: dict[str, float]) -> str:
    lines = [
        "| condition | clean error of the reference | " + " | ".join(CELLS.values()) + " |",
        "|---|---|" + "---|" * len(CELLS),
    ]
    for condition, error in errors.items():
        entries = [shown(of_cell[condition]) for of_cell in rows.values()]
        lines.append(f"| `{condition}` | {100 * error:.2f}% | " + " | ".join(entries) + " |")
    return "\n".join(lines) + "\n"


def shown(row: Primary) -> str:
    if row.effect is None:
        return "the same" if row.mean == 0 else "unknown"
    return f"{row.mean:+.3f} [{row.effect.lower:+.3f}, {row.effect.upper:+.3f}] {row.outcome}"


def panel(title: str, of_cell: dict[str, Primary]) -> Forest:
    lines = [
        Line(
            label=condition, mean=row.mean, lower=row.effect.lower, upper=row.effect.upper, outcome=row.outcome,
            shown=f"{row.mean:+.3f}",
        )
        for condition, row in of_cell.items()
        if row.effect is not None
    ]  # fmt: skip
    return Forest(
        title=title, axis="clean NLL less the reference's", unit="nats", lines=lines, rope=ROPE, likelihood=True
    )


if __name__ == "__main__":
    main()

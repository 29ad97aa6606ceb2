"""All numbers of the page, figures included, in one long table: table, row, column, value, and the text shown."""

import math
from collections.abc import Iterator

from auglik.report.content import Page

LONG_COLUMNS = ("table", "row", "column", "value", "shown")


def long_rows(page: Page) -> Iterator[dict[str, object]]:
    """One row per number; a part of an entry (a standard error, a bound) has its name after the column's."""
    for table in page.tables():
        for row in table.rows:
            for column, entry in zip(table.columns[1:], row.entries, strict=True):
                for part, value in entry.numbers:
                    name = f"{column}: {part}" if part else column
                    yield {"table": table.key, "row": row.name, "column": name, "value": value, "shown": entry.text}
    for figure in page.figures():
        for one in figure.data:
            if math.isfinite(one.value):
                named = {"table": f"figure-{figure.key}", "row": one.row, "column": one.column}
                yield {**named, "value": one.value, "shown": one.shown}

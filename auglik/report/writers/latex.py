"""The tables as LaTeX for the booktabs package."""

import re

from auglik.report.content import Details, Page, Shown, Table

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "γ": r"$\gamma$",
    "–": "--",
}
NUMBER = re.compile(r"(?<![\w.])[+-](?=\d|inf)")


def latex(page: Page) -> str:
    """Every table except those of single runs."""
    details = {
        table.key
        for section in page.sections
        for item in section.items
        if isinstance(item, Details)
        for table in item.tables
    }
    tables = [_table(table) for table in page.tables() if table.key not in details]
    return "\n\n".join(["% \\usepackage{booktabs} in the preamble", *tables]) + "\n"


def escape(text: str) -> str:
    """Escaped text; signs before numbers become minus and plus signs."""
    escaped = "".join(SPECIAL.get(character, character) for character in text)
    return NUMBER.sub(lambda found: f"${found[0]}$", escaped)


def _table(table: Table) -> str:
    head = " & ".join(escape(column) for column in table.columns)
    body = [" & ".join([escape(row.name), *(_entry(entry) for entry in row.entries)]) + r" \\" for row in table.rows]
    columns = "l" + "".join("r" if table.numeric(place) else "l" for place in range(len(table.columns) - 1))
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            f"\\caption{{{escape(table.caption)}}}",
            f"\\label{{tab:{re.sub(r'[^A-Za-z0-9]+', '-', table.key)}}}",
            f"\\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            f"{head} \\\\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _entry(entry: Shown) -> str:
    text = escape(entry.text)
    return f"{{{text}}}" if text.startswith("[") else text  # after \\ a bracket would be its optional argument

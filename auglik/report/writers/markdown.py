"""The page as Markdown, with its figures as separate files."""

from auglik.report.content import Details, Figure, Item, Page, Table


def markdown(page: Page) -> str:
    """The whole page."""
    lines = [f"# {escape(page.title)}", "", escape(page.subtitle), ""]
    if page.warnings:
        lines += ["**Warnings**", "", *(f"- {escape(text)}" for text in page.warnings), ""]
    for section in page.sections:
        lines += [f"## {escape(section.title)}", ""]
        lines += [f"{'- ' if len(section.sentences) > 1 else ''}{escape(text)}" for text in section.sentences]
        lines += [""] if section.sentences else []
        for item in section.items:
            lines += [*_item(item), ""]
    return "\n".join(lines).rstrip() + "\n"


def escape(text: str) -> str:
    """Escaped text."""
    for character in "\\`*_[]<>|#":
        text = text.replace(character, f"\\{character}")
    return text


def _item(item: Item) -> list[str]:
    if isinstance(item, Figure):
        return [f"![{escape(item.caption)}](figures/{item.key}.svg)", "", f"*{escape(item.caption)}*"]
    if isinstance(item, Details):
        settings = ["", "```toml", item.text.rstrip(), "```"] if item.text else []
        return [
            f"### {escape(item.summary)}",
            "",
            *(line for table in item.tables for line in _table(table)),
            *settings,
        ]
    return _table(item)


def _table(table: Table) -> list[str]:
    rows = [[escape(row.name), *(escape(entry.text) for entry in row.entries)] for row in table.rows]
    lines = [f"**{escape(table.caption)}**", "", _row([escape(column) for column in table.columns])]
    lines += [_row([":--", *("--:" for _ in table.columns[1:])]), *map(_row, rows)]
    return [*lines, "", escape(table.note)] if table.note else lines


def _row(entries: list[str]) -> str:
    return f"| {' | '.join(entries)} |"

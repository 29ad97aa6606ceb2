"""The page as one HTML file that needs no network: style, script and figures are in it."""

from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from auglik.report.content import Details, Figure, Item, Page, Table

FOLDER = "templates"


def html(page: Page) -> str:
    """The whole page."""
    environment = _environment()
    source = environment.loader.get_source if environment.loader else None
    inline = {name: Markup(source(environment, name)[0]) for name in ("style.css", "sort.js")} if source else {}
    return environment.get_template("page.html").render(page=page, style=inline["style.css"], script=inline["sort.js"])


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("auglik.report", FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = _kind
    environment.filters["svg"] = lambda figure: Markup(figure.svg)
    return environment


def _kind(item: Item) -> str:
    return {Table: "table", Figure: "figure", Details: "details"}[type(item)]

"""The page as one self-contained HTML file: style, script and figures are in it."""

from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from auglik.report.content import Details, Figure, Item, Page, Table
from auglik.report.figures.svg import css

TEMPLATE_FOLDER = "templates"


def html(page: Page) -> str:
    """The whole page."""
    environment = _environment()
    source = environment.loader.get_source if environment.loader else None
    inline = {name: Markup(source(environment, name)[0]) for name in ("style.css", "page.js")} if source else {}
    style = Markup(css()) + inline["style.css"]
    return environment.get_template("page.html").render(page=page, style=style, script=inline["page.js"])


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("auglik.report", TEMPLATE_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = _kind
    environment.filters["svg"] = lambda drawing: Markup(drawing.svg)
    return environment


def _kind(item: Item) -> str:
    return {Table: "table", Figure: "figure", Details: "details"}[type(item)]

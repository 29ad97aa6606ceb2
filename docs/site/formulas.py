"""A hook of the site: ```math blocks and `#!math ...` in lines become MathML, which browsers set without a script."""

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Names the formats here, as a configuration file could only by a module on the path."""
    extensions = config.mdx_configs
    block = {"name": "math", "class": "math", "format": _block}
    extensions.setdefault("pymdownx.superfences", {})["custom_fences"] = [block]
    line = {"name": "math", "class": "math", "format": _line}
    extensions.setdefault("pymdownx.inlinehilite", {})["custom_inline"] = [line]
    return config


def _block(source: str, *arguments: object, **options: object) -> str:
    return f'<div class="math">{convert(source, display="block")}</div>'


def _line(source: str, *arguments: object, **options: object) -> str:
    return str(convert(source))

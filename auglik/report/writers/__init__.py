"""A page as files: HTML, Markdown, CSV and LaTeX."""

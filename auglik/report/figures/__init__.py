"""The figures of a report, each a function of numbers that returns SVG text."""

"""The headings under which `--help` shows options."""

from enum import StrEnum


class Group(StrEnum):
    """In the order in which they are shown."""

    COMPARED = "What is compared"
    MEASURED = "What is measured"
    OBJECTIVE = "Objective"
    DATA = "Data"
    NETWORK = "Network"
    OPTIMIZATION = "Optimization"
    POSTERIOR = "Posterior"
    VIEWS = "Views"
    LABELS = "Labels and weights"
    EVALUATION = "Evaluation"
    REPORT = "Report"
    MACHINE = "Where it runs"
    COMMAND = "This command"

"""The page: its numbers are those of tables.csv, it needs no network, and browsers show it at every width."""

import csv
import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
import xarray

from auglik.report import Report, write_report
from tests import reported

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NUMBER = re.compile(r"[+-]?(?:\d[\d,]*(?:\.\d+)?|inf)")
WIDTHS = (360, 768, 1280)

PROBE = """
const root = document.documentElement, say = (what, value) => parent.postMessage([what, value], "*");
say("overflow-" + innerWidth, root.scrollWidth - innerWidth);
if (innerWidth === 360) {
  const table = document.querySelector('table[data-key="scores-clean"]'), heads = [...table.tHead.rows[0].cells];
  const nll = heads.findIndex(head => head.textContent.trim() === "NLL"), button = heads[nll].firstElementChild;
  const values = () => [...table.tBodies[0].rows].map(row => row.cells[nll].textContent).join("|");
  const state = () => heads[nll].getAttribute("aria-sort") + ":" + values();
  const states = [state()];
  for (let i = 0; i < 3; i++) { button.focus(); button.click(); states.push(state()); }
  say("sorting", states.join(";"));
  say("focus", document.activeElement === button);
  say("labelled", [...document.querySelectorAll("figure svg")].every(svg => svg.getAttribute("aria-label")));
}
"""
"""Tells the page around its frame what a user would see and do."""
LISTENER = """
addEventListener("message", event => {
  const line = document.createElement("p");
  line.textContent = event.data.join("=");
  document.body.append(line);
});
"""


class PageReader(HTMLParser):
    """The tables of a page as {key: [[text of a cell]]}, headings first; and what it refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.ids: list[str] = []
        self.references: list[str] = []
        self.outside: list[str] = []
        self.key: str | None = None
        self.cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids += [found["id"]] if "id" in found else []
        for name, value in found.items():
            if name in ("href", "xlink:href", "src"):
                (self.references if value.startswith("#") else self.outside).append(value)
            self.references += re.findall(r"url\((#[^)]+)\)", value)
        if tag == "table":
            self.key = found["data-key"]
            self.tables[self.key] = []
        elif tag == "tr" and self.key:
            self.tables[self.key].append([])
        elif tag in ("td", "th"):
            self.cell = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self.key and self.cell is not None:
            self.tables[self.key][-1].append("".join(self.cell).strip())
            self.cell = None
        elif tag == "table":
            self.key = None

    def handle_data(self, data: str) -> None:
        if self.cell is not None:
            self.cell.append(data)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """With the calibration model and robustness scores of two cells and two seeds."""
    folder = reported.write_comparison(tmp_path_factory.mktemp("page"), seeds=2, cells=("reference", "sharper"))
    for run in folder.glob("*/seed-*"):
        reported.robustness_scores(run, 0.0)
    return write_report(folder, folder / "report")


@pytest.fixture(scope="module")
def read(report: Report) -> PageReader:
    reader = PageReader()
    reader.feed(report.page.read_text(encoding="utf-8"))
    return reader


def long_table(report: Report) -> Iterator[dict[str, str]]:
    with (report.page.parent / "tables.csv").open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def test_numbers_of_the_page_are_those_of_the_csv(report: Report, read: PageReader) -> None:
    """Entry by entry: all its numbers in order, each the CSV's value rounded to the digits that are shown."""
    expected: dict[tuple[str, str, str], list[tuple[str, float]]] = {}
    for row in long_table(report):
        column, _, part = row["column"].rpartition(": ") if ": " in row["column"] else (row["column"], "", "")
        if part == "adjusted p":
            continue
        whole = column if part in ("standard error", "lower", "upper") else row["column"]
        expected.setdefault((row["table"], row["row"], whole), []).append((row["shown"], float(row["value"])))
    seen = 0
    for key, (head, *rows) in read.tables.items():
        for name, *entries in rows:
            for column, text in zip(head[1:], entries, strict=True):
                values = expected.pop((key, name, column), [])
                seen += bool(values)
                assert all(shown == text for shown, _ in values), (key, name, column)
                for shown, (_, value) in zip(
                    NUMBER.findall(text.replace(" ± ", " ")) if values else [], values, strict=True
                ):
                    digits = len(shown.partition(".")[2])
                    assert math.isclose(float(shown.replace(",", "")), value, abs_tol=0.5001 * 10**-digits), (
                        key,
                        name,
                        column,
                    )
    assert expected == {}
    assert seen > 300


def test_rows_of_the_csv_are_unlike_each_other(report: Report) -> None:
    keys = [(row["table"], row["row"], row["column"]) for row in long_table(report)]
    assert len(keys) == len(set(keys))


def test_markdown_and_latex_hold_the_same_tables(report: Report, read: PageReader) -> None:
    markdown = (report.page.parent / "report.md").read_text(encoding="utf-8")
    for head, *rows in read.tables.values():
        for row in [head, *rows]:
            line = " | ".join(re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text) for text in row)
            assert f"| {line} |" in markdown
    labels = re.findall(r"\\label\{tab:([^}]+)\}", (report.page.parent / "tables.tex").read_text(encoding="utf-8"))
    assert len(labels) == len(set(labels))
    assert {"primary", "scores-clean", "ece", "corruptions-error"} <= set(labels)


def test_the_page_needs_no_network(report: Report, read: PageReader) -> None:
    assert [found for found in read.outside if not found.startswith("data:")] == []
    text = report.page.read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\s\"']+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "@import" not in text
    assert '<link rel="stylesheet"' not in text


def test_identifiers_are_unique_and_exist(read: PageReader) -> None:
    assert len(read.ids) == len(set(read.ids))
    assert {found.removeprefix("#") for found in read.references} <= set(read.ids)


def test_warnings_and_the_answer_come_first(report: Report) -> None:
    text = report.page.read_text(encoding="utf-8")
    parts = ('id="warnings"', "2 seeds show little", 'id="answer"', 'id="scores"', 'id="runs"')
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert all(sentence.split(":")[0] in text for sentence in report.sentences)


def test_netcdf_opens_again(report: Report) -> None:
    for name in ("calibration.nc", "differences.nc"):
        with xarray.open_datatree(report.page.parent / name, engine="h5netcdf") as tree:
            assert tree["posterior"].sizes["chain"] == 4


@pytest.fixture(scope="module")
def browsed(report: Report, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a browser says of the page in frames of several widths, and of a table before and after its sorting."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH")
    folder = tmp_path_factory.mktemp("browsed")
    text = report.page.read_text(encoding="utf-8")
    (folder / "probed.html").write_text(text.replace("</body>", f"<script>{PROBE}</script></body>"), encoding="utf-8")
    frame = '<iframe src="probed.html" style="border:0;width:{}px;height:900px"></iframe>'
    frames = "".join(frame.format(width) for width in WIDTHS)
    (folder / "frames.html").write_text(f"<body><script>{LISTENER}</script>{frames}</body>", encoding="utf-8")
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder / 'profile'}",
        "--virtual-time-budget=10000", "--window-size=1400,1000", "--dump-dom",
    ]  # fmt: skip
    command = [CHROMIUM, *flags, (folder / "frames.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return dict(found.split("=", 1) for found in re.findall(r"<p>([^<]*)</p>", done.stdout))


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_does_not_overflow(browsed: dict[str, str], width: int) -> None:
    assert int(browsed[f"overflow-{width}"]) <= 0


def test_tables_sort(browsed: dict[str, str]) -> None:
    before, rising, falling, again = (state.partition(":") for state in browsed["sorting"].split(";"))
    assert [state[0] for state in (before, rising, falling, again)] == ["none", "ascending", "descending", "none"]
    values = [float(text.split(" ")[0]) for text in before[2].split("|")]
    assert [float(text.split(" ")[0]) for text in rising[2].split("|")] == sorted(values)
    assert [float(text.split(" ")[0]) for text in falling[2].split("|")] == sorted(values, reverse=True)
    assert again[2] == before[2]


def test_controls_and_figures_are_accessible(browsed: dict[str, str]) -> None:
    assert browsed["focus"] == "true"
    assert browsed["labelled"] == "true"

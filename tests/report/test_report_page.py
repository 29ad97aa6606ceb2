"""The page: its numbers are those of tables.csv, it needs no network, and browsers show it at every width."""

import csv
import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
import xarray

from auglik.report import Report, write_report
from auglik.report.figures.outcome import OUTCOMES
from auglik.report.figures.style import styles
from auglik.report.figures.svg import css
from tests import reported

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NUMBER = re.compile(r"[+-]?(?:\d[\d,]*(?:\.\d+)?|inf)")
WIDTHS = (400, 1280, 1920)

PROBE = """
const root = document.documentElement, say = (what, value) => parent.postMessage([what, value], "*");
const letters = [...document.querySelectorAll("svg")].map(svg => 9.5 * svg.clientWidth / svg.viewBox.baseVal.width);
say("letters-" + innerWidth, Math.min(...letters));
say("overflow-" + innerWidth, root.scrollWidth - innerWidth);
document.querySelectorAll("details").forEach(one => { one.open = true; });
say("opened-" + innerWidth, root.scrollWidth - innerWidth);
if (innerWidth === 400) {
  const table = document.querySelector('table[data-key="scores-clean"]'), heads = [...table.tHead.rows[0].cells];
  const nll = heads.findIndex(head => head.textContent.trim() === "NLL"), button = heads[nll].firstElementChild;
  const values = () => [...table.tBodies[0].rows].map(row => row.cells[nll].textContent).join("|");
  const state = () => heads[nll].getAttribute("aria-sort") + ":" + values();
  const states = [state()];
  for (let i = 0; i < 3; i++) { button.focus(); button.click(); states.push(state()); }
  say("sorting", states.join(";"));
  say("focus", document.activeElement === button);
  const skip = document.querySelector("a.skip");
  skip.focus();
  say("skip", skip.getBoundingClientRect().left >= 0);
  skip.click();
  say("skipped", document.activeElement.id);
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
        self.drawings: dict[str, list[str]] = {}
        self.frames: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.figure: str | None = None
        self.text_class: str | None = None
        self.framed = False
        self.key: str | None = None
        self.cell: list[str] | None = None

    def figure_texts(self, *classes: str) -> list[str]:
        """What figures say in texts of one of the classes."""
        return [words for of, words in self.texts if set(of.split()) & set(classes)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids += [found["id"]] if "id" in found else []
        for name, value in found.items():
            if name in ("href", "xlink:href", "src"):
                (self.references if value.startswith("#") else self.outside).append(value)
            self.references += re.findall(r"url\((#[^)]+)\)", value)
        if tag == "figure":
            self.figure = found["id"].removeprefix("figure-")
            self.drawings[self.figure] = []
        elif tag == "svg" and self.figure:
            self.drawings[self.figure] += [found["aria-label"]] if found.get("role") == "img" else [""]
        elif tag == "text":
            self.text_class = found.get("class", "")
        elif tag == "div":
            self.framed = found.get("class") == "scroll" and found.get("tabindex") == "0"
        if tag == "table":
            self.frames += [found["data-key"]] * self.framed
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
            self.key, self.framed = None, False
        elif tag == "figure":
            self.figure = None
        elif tag == "text":
            self.text_class = None

    def handle_data(self, data: str) -> None:
        if self.cell is not None:
            self.cell.append(data)
        if self.text_class is not None:
            self.texts.append((self.text_class, data))


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
        if row["table"].startswith("figure-"):
            continue
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


def test_numbers_in_figures_are_in_the_csv(report: Report, read: PageReader) -> None:
    """Every difference, temperature and decay that a figure says in words; and all figures have their numbers there."""
    rows = [row for row in long_table(report) if row["table"].startswith("figure-")]
    shown = {text for row in rows for text in NUMBER.findall(row["shown"].replace("\N{MINUS SIGN}", "-"))}
    said = [text.replace("\N{MINUS SIGN}", "-") for text in read.figure_texts("value", "caption")]
    numbers = [text for words in said for text in NUMBER.findall(words) if "class" not in words]
    assert len(numbers) > 25
    assert set(numbers) <= shown
    assert {row["table"] for row in rows} == {f"figure-{key}" for key in read.drawings}


def test_figures_and_tables_are_accessible(read: PageReader) -> None:
    """Every drawing says what it shows, every table scrolls in a frame that the keyboard reaches."""
    assert len(read.drawings) >= 9
    for labels in read.drawings.values():
        assert labels
        assert all(len(label) > 3 for label in labels)
    assert set(read.frames) == set(read.tables)


def test_no_picture_tells_by_colour_alone() -> None:
    """Any two of 28 cells differ in colour or line, any two of 9 in marker; all outcomes in marker or filling."""
    drawn = styles([f"cell {place}" for place in range(28)], [])
    assert len({(style.colour, style.line) for style in drawn.values()}) == 28
    assert len({style.marker for style in list(drawn.values())[:9]}) == 9
    assert len({(look.marker, look.of) for look in OUTCOMES.values()}) == len(OUTCOMES)


def luminance(colour: str) -> float:
    """WCAG 2's relative luminance of #rrggbb."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_verdicts_stand_out(theme: str) -> None:
    """By WCAG 2: 4.5 for text, on the deepest tiles too; 3 for the colours of outcomes."""
    light, dark = css().split("/* end of the light colours */")
    colours = dict(re.findall(r"--([\w-]+): *(#\w{6});", {"light": light, "dark": dark}[theme]))

    def contrast(one: str, other: str) -> float:
        low, high = sorted([luminance(one), luminance(other)])
        return (high + 0.05) / (low + 0.05)

    assert all(contrast(colours[name], colours["paper"]) > 4.5 for name in ("ink", "faint"))
    deepest = max(float(found) for found in re.findall(r"shade\d \{ fill-opacity: ([\d.]+)", dark))
    for name in ("blue", "vermilion"):
        mixed = [
            round(
                deepest * int(colours[name][place : place + 2], 16)
                + (1 - deepest) * int(colours["paper"][place : place + 2], 16)
            )
            for place in (1, 3, 5)
        ]
        assert contrast(colours["ink"], "#" + "".join(f"{part:02x}" for part in mixed)) > 4.5
    assert all(contrast(colours[OUTCOMES[name].colour], colours["paper"]) > 3 for name in OUTCOMES)


def test_figure_files_need_nothing_else(report: Report, read: PageReader) -> None:
    for key in read.drawings:
        root = ElementTree.parse(report.page.parent / "figures" / f"{key}.svg").getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        text = ElementTree.tostring(root, encoding="unicode")
        assert "var(" not in text
        assert "@media" not in text


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


def test_warnings_the_answer_and_pictures_come_first(report: Report) -> None:
    text = report.page.read_text(encoding="utf-8")
    parts = (
        'id="warnings"', "2 seeds show little", 'id="answer"', 'id="figure-forest"', 'id="figure-endpoints"',
        'id="table-primary"', 'id="figure-tradeoffs"', 'id="figure-severity"', 'id="figure-profiles"',
        'id="figure-reliability"',
        'id="figure-views-seen"', 'id="figure-training"', 'id="scores"', 'id="runs"',
    )  # fmt: skip
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
    assert int(browsed[f"opened-{width}"]) <= 0


@pytest.mark.parametrize("width", WIDTHS)
def test_the_smallest_letters_of_figures_can_be_read(browsed: dict[str, str], width: int) -> None:
    """In pixels of the screen."""
    assert float(browsed[f"letters-{width}"]) > 8


def test_tables_sort(browsed: dict[str, str]) -> None:
    before, rising, falling, again = (state.partition(":") for state in browsed["sorting"].split(";"))
    assert [state[0] for state in (before, rising, falling, again)] == ["none", "ascending", "descending", "none"]
    values = [float(text.split(" ")[0]) for text in before[2].split("|")]
    assert [float(text.split(" ")[0]) for text in rising[2].split("|")] == sorted(values)
    assert [float(text.split(" ")[0]) for text in falling[2].split("|")] == sorted(values, reverse=True)
    assert again[2] == before[2]


def test_the_keyboard_reaches_controls(browsed: dict[str, str]) -> None:
    assert browsed["focus"] == "true"
    assert browsed["skip"] == "true"
    assert browsed["skipped"] == "answer"

"""The page: what it holds, what it escapes, and what a browser makes of it."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from profiling.document import (
    Axis,
    Change,
    Column,
    Document,
    Figure,
    Listing,
    ListingLine,
    Section,
    Series,
    Table,
)
from profiling.reporters import get_reporter
from profiling.reporters._rows import LONGEST_STRETCH, shown_source, sort_value, stretches

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
EVIL = "</script><img src='http://127.0.0.1:9/x' onerror=\"alert(1)\">{{ 7 * 7 }}&"


def lines(count, *measured):
    return tuple(
        ListingLine(n, f"line {n}", ("1 s",) if n in measured else (), 0.5 if n in measured else None)
        for n in range(1, count + 1)
    )


def listing(count, *measured):
    return Listing("f", "f.py", (Column("time"),), lines(count, *measured), "A note.")


TIMES = Table(
    (Column("name", "left"), Column("time"), Column("share", "bar")),
    (("naive", "1.5 s", 1.0), ("blocked", "20 ms", 0.25), ("none", "-", 0.0)),
)
CURVES = Figure(
    "Roof & line",
    "What <one> sees.",
    Axis("FLOP per byte", log=True),
    Axis("GFLOP/s", log=True),
    (
        Series("roof", "line", (0.1, 1.0, 10.0), (1.0, 10.0, 10.0)),
        Series("$x_2$", "points", (1.0, -1.0), (5.0, 5.0), (EVIL, "gone")),
    ),
    "roofline",
)
STRIPS = Figure(
    "Samples",
    "",
    Axis("seconds"),
    Axis(""),
    (Series("a", "strip", tuple(map(float, range(500)))),),
    "samples",
)
DOCUMENT = Document(
    "matmul <512>",
    (
        Section("1. Machine", ("A machine & its cores.",)),
        Section("2. Times", (TIMES, CURVES, STRIPS)),
        Section("3. Lines", (listing(40, 20),)),
        Section(EVIL, (EVIL, Table((Column(EVIL, "left"),), ((EVIL,),)))),
    ),
)


@pytest.fixture(scope="module")
def page():
    return get_reporter("html").render(DOCUMENT, 100)


class Elements(HTMLParser):
    """The elements of a page, each tag with its attributes, and the text between them."""

    VOID = frozenset({"meta", "link", "input", "br", "img"})

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.text = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)


def test_tags_are_balanced_and_ids_are_unique(page):
    elements = Elements(page)
    assert elements.open == []
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"][1:] for tag, attributes in elements.found if tag == "a"}
    assert targets <= set(ids)
    for reference in re.findall(r"url\(#([^)]+)\)", page):
        assert reference in ids


def test_nothing_is_loaded_and_nothing_from_outside_is_markup(page):
    elements = Elements(page)
    assert "img" not in {tag for tag, _ in elements.found}
    for tag, attributes in elements.found:
        assert "src" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        href = attributes.get("href", "#")
        assert href.startswith("#") or (tag, href) == ("link", "data:,")
    assert "@import" not in page
    assert "".join(elements.text).count("{{ 7 * 7 }}&") >= 4
    assert page.count("<script") == 1


def test_the_parts_of_a_document_are_there(page):
    text = " ".join("".join(Elements(page).text).split())
    for words in (
        "matmul <512>",
        "A machine & its cores.",
        "What <one> sees.",
        "$x_2$",
        "1 value of $x_2$ cannot be drawn on these axes.",
        "a: 300 of 500 values are drawn",
        "lines 1 to 17: nothing measured",
        "A note.",
        "100.0 %",
    ):
        assert words in text
    assert 'data-value="0.02"' in page
    assert len(page) < 150_000


def test_pictures_take_the_colours_of_the_page(page):
    pictures = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(pictures) == 2
    for picture in pictures:
        assert set(re.findall(r"(?:fill|stroke): ?([^;\"]+)", picture)) <= {"none", "currentColor"} | {
            f"var(--{name})" for name in ("ink", "muted", "line", "page", "series-1", "series-2")
        }
        assert "DejaVu" not in picture


def test_stretches_keep_every_line_and_fold_the_unmeasured():
    parts = list(stretches(listing(40, 10, 12, 30)))
    numbers = [line.number for part in parts for line in part.lines]
    assert numbers == list(range(1, 41))
    assert [(part.lines[0].number, part.lines[-1].number, part.folded) for part in parts] == [
        (1, 7, True),
        (8, 14, False),
        (15, 27, True),
        (28, 32, False),
        (33, 40, True),
    ]
    # Too short to be worth a click.
    assert not any(part.folded for part in stretches(listing(6, 4)))
    long = list(stretches(listing(LONGEST_STRETCH + 10, 1)))
    assert [part.left_out for part in long] == [False, True]


def test_sort_values():
    cells = ("12", "*1.5 us", "1,024 KiB", "5.0 %", "+3 MiB", "-2", "1e-3 s", "<0.1", "-", "", "numpy", 0.25)
    values = [sort_value(cell) for cell in cells]
    wanted = [12, 1.5e-6, 2**20, 5, 3 * 2**20, -2, 1e-3, 0.1, None, None, None, 0.25]
    assert values == [value if value is None else pytest.approx(value) for value in wanted]


def test_a_line_too_long_for_people_is_cut_with_a_word():
    assert shown_source("x" * 500) == "x" * 500
    assert shown_source("x" * 600).endswith("x ... (100 more characters)")


def test_missing_packages_are_told_with_the_command(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "jinja2" else object())
    reason = get_reporter("html").why_unavailable()
    assert reason == "jinja2 is not installed; install with: pip install 'tensorops[html]'"
    assert get_reporter("png").why_unavailable() is None


def browse(page, folder, *options):
    """Open a page in Chromium; return the document, the console's messages and the addresses asked for."""
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    log = folder / "net.json"
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--hide-scrollbars", "--virtual-time-budget=2000", "--window-size=1280,1000"),
            *(f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", "--enable-logging=stderr"),
            *options,
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    logged = log.read_text(encoding="utf-8", errors="replace")
    addresses = set(re.findall(r'"url":"((?:https?|wss?|ftp):[^"]*)"', logged))
    messages = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, messages, addresses


@needs_browser
def test_a_browser_shows_it_without_an_error_and_without_the_network(page, tmp_path):
    shown, messages, addresses = browse(page, tmp_path, "--dump-dom")
    assert messages == []
    assert not any("127.0.0.1" in address for address in addresses)
    elements = Elements(shown.removeprefix("<!DOCTYPE html>"))
    assert sum(tag == "section" for tag, _ in elements.found) == len(DOCUMENT.sections)
    assert sum(tag == "svg" for tag, _ in elements.found) == 2
    # The script has run: it is the one that makes heads of tables into buttons.
    assert sum(tag == "button" for tag, _ in elements.found) == 3


@needs_browser
def test_the_browser_would_tell_of_a_request_and_of_an_error(tmp_path):
    page = "<!DOCTYPE html><img src='http://127.0.0.1:9/x.png'><script>console.error('said');</script>"
    _, messages, addresses = browse(page, tmp_path, "--dump-dom")
    assert any("said" in message for message in messages)
    assert any("127.0.0.1" in address for address in addresses)


@needs_browser
def test_clicks_on_a_head_sort_both_ways_and_back(page, tmp_path):
    orders = [["naive", "blocked", "none"], ["blocked", "naive", "none"], ["naive", "blocked", "none"]]
    note = """
        const told = [];
        for (const _ of [1, 2, 3]) {
          document.querySelectorAll("table.figures th button")[1].click();
          const table = document.querySelector("table.figures");
          const names = [...table.querySelectorAll("td.left")].map((cell) => cell.textContent);
          const sorts = [...table.querySelectorAll("[aria-sort]")].map((head) => head.ariaSort);
          told.push([names, sorts]);
        }
        document.title = JSON.stringify(told);
    """
    page = re.sub(r"<meta http-equiv=[^>]*>", "", page).replace("</body>", f"<script>{note}</script></body>")
    shown, messages, _ = browse(page, tmp_path, "--dump-dom")
    assert messages == []
    told = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", shown)[1]))
    assert told == [
        [order, sorts] for order, sorts in zip(orders, (["descending"], ["ascending"], []), strict=True)
    ]


@needs_browser
@pytest.mark.parametrize(("scheme", "is_dark"), [(1, False), (0, True)])
def test_both_schemes_are_painted(page, tmp_path, scheme, is_dark):
    """As the system has it at the left, and the other one, by the switch, at the right."""
    from matplotlib.image import imread

    (tmp_path / "plain.html").write_text(page, encoding="utf-8")
    toggled = page.replace('id="scheme"', 'id="scheme" checked')
    (tmp_path / "toggled.html").write_text(toggled, encoding="utf-8")
    frame = "<iframe src='{}.html' style='width:640px;height:1000px;border:0'></iframe>"
    both = "<!DOCTYPE html><body style='margin:0;display:flex'>" + "".join(
        frame.format(name) for name in ("plain", "toggled")
    )
    shot = tmp_path / "page.png"
    browse(both, tmp_path, f"--screenshot={shot}", f"--blink-settings=preferredColorScheme={scheme}")
    painted = imread(shot)[..., :3]
    for pixels, dark in ((painted[:, :640], is_dark), (painted[:, 640:], not is_dark)):
        background = pixels[5, 5].mean()
        assert (background < 0.2) == dark
        # Something is written on it, in a colour that stands out.
        assert abs(pixels - background).max() > 0.6


def test_a_change_keeps_its_indentation_and_escapes_its_source():
    change = Change("a.py:3: f", "y = a < b", "def f(x):\n    return x", "A note.")
    page = get_reporter("html").render(Document("Title", (Section("Part", (change,)),)), 80)
    assert "<del>y = a &lt; b</del>\n<ins>def f(x):</ins>\n<ins>    return x</ins>" in page
    assert '<p class="note">A note.</p>' in page

"""The pages: complete, escaped, without scripts, readable at any width."""

from __future__ import annotations

import html.parser
import json
import re
import shutil
import subprocess
import tempfile

import pytest

from profiling.competition import history
from profiling.competition.site import Site

from .test_store import enter, judge_next

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
EVIL = "<script>document.title = 'caught'</script>"
VOID = {"meta", "link", "br", "line", "circle"}


class Checked(html.parser.HTMLParser):
    """Balanced tags, no scripts, no handlers, and where the links lead."""

    def __init__(self):
        super().__init__()
        self.open, self.links, self.tags = [], [], set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        assert not any(name.startswith("on") or name == "style" for name, _ in attributes), attributes
        self.links += [value for name, value in attributes if name in ("href", "src")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def checked(path):
    parser = Checked()
    parser.feed(path.read_text())
    parser.close()
    assert parser.open == []
    assert "script" not in parser.tags and "img" not in parser.tags
    return parser


@pytest.fixture
def pages(store, home):
    from profiling.competition import pack

    version = pack.load("softmax").version
    for who, code, speed in (
        ("ann", b"a = 1", 2.0),
        ("bob", b"b = 1", 1.2),
        ("Chlo\u00e9 <b>", f"# {EVIL} \u202e\nx".encode(), 2.001),
    ):
        enter(store, who, code, file=f"{EVIL}.py")
        judge_next(store, speed, version=version)
    enter(store, "dan", b"d")
    judge_next(store, 1.0, "WRONG_ANSWER", reason=EVIL, stderr=f"{EVIL}\x1b[2J\u202e")
    enter(store, "eve", b"e")
    store.note("eve", EVIL, "eve/1", EVIL)
    site = Site(store, home, "a machine")
    site.write()
    return site


def test_every_page_is_whole_and_every_link_leads_somewhere(pages):
    found = {path.name for path in pages.folder.iterdir()}
    assert {"index.html", "board-softmax.html", "submission-1.html", "style.css"} <= found
    for path in pages.folder.glob("*.html"):
        for link in checked(path).links:
            assert link in found or link in ("#main", "data:,"), f"{path.name}: {link}"


def test_nothing_of_a_participant_becomes_part_of_a_page(pages):
    for path in pages.folder.glob("*.html"):
        text = path.read_text()
        assert "<script" not in text
        assert "\u202e" not in text and "\x1b" not in text


def test_the_board_is_the_ranking(pages, store):
    from profiling.competition import standings

    text = (pages.folder / "board-softmax.html").read_text()
    (key,) = standings.keys(store, "softmax")
    shown = re.findall(r'<td class="number">(=?\d+)</td><td class="name">(.*?)</td>', text)
    expected = [
        (f"{'=' * entry.tied}{entry.rank}", entry.participant.replace("<b>", "&lt;b&gt;"))
        for entry in standings.board(store, key)
    ]
    assert shown == expected


def test_pages_are_rewritten_only_when_something_has_changed(pages, store):
    assert pages.write() == 0
    store.decide("hidden", "1", "1")
    assert pages.write() > 0


def test_sources_are_shown_when_the_teacher_says_so(pages, store):
    page = pages.folder / "submission-1.html"
    assert "Shown after the deadline" in page.read_text()
    assert not history.may_show_source(store, "softmax")
    store.decide("deadline", "softmax", "1.0")
    pages.write()
    assert "a = 1" in page.read_text()
    store.decide("setting", "show source", "never")
    pages.write()
    assert "a = 1" not in page.read_text()
    store.decide("setting", "show source", "always")
    pages.write()
    assert "a = 1" in page.read_text()


PROBE = """<body></body><pre id="told"></pre><script>
const views = VIEWS;
for (const [page, width] of views) {
  const frame = document.createElement("iframe");
  frame.src = page; frame.width = width; frame.height = 900; frame.style.border = 0;
  document.body.append(frame);
}
onload = () => {
  told.textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(frame => {
    const document = frame.contentDocument, style = frame.contentWindow.getComputedStyle(document.body);
    return {wide: document.documentElement.scrollWidth, title: document.title,
            styled: document.styleSheets.length, ink: style.color, page: style.backgroundColor};
  }));
};
</script>"""
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_shows_the_pages_without_sideways_scrolling(pages):
    # Frames of the given widths: the browser itself does not go below 500 pixels.
    names = ("index.html", "board-softmax.html", "submission-3.html", "submission-4.html")
    views = [(page, width) for width in (390, 1280) for page in names]
    probe = pages.folder / "probe.html"
    probe.write_text(PROBE.replace("VIEWS", json.dumps(views)))
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [
                CHROMIUM,
                *OPTIONS,
                f"--user-data-dir={profile}",
                "--allow-file-access-from-files",
                "--virtual-time-budget=3000",
                "--window-size=1400,1000",
                "--dump-dom",
                probe.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
        )
    found = json.loads(html.unescape(re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.S)[1]))
    for (page, width), told in zip(views, found, strict=True):
        assert told["wide"] <= width, (page, width, told)
        assert "caught" not in told["title"]
        assert told["styled"] == 1
        assert told["ink"] != told["page"]

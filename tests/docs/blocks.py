"""The code blocks of the texts: what they are, and where they stand."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.rst")),
)
_COMMAND = re.compile(r"(python|tensorops|pre-commit|bash|git) ")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One code block.

    Attributes
    ----------
    page : str
        Path of the file, from the root of the tree.
    line : int
        Line where its text begins.
    language : str
        ``"console"``, ``"python"``, ``"doctest"``, or what the page says.
    text : str
        Without indentation.
    """

    page: str
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """Where it stands, for the name of a test."""
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """Return the code blocks of a page, in their order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = _fenced(page, text) if page.endswith(".md") else _indented(page, text)
    return [block for block in found if block.text.strip()]


def commands(block: Block) -> list[str]:
    """Return the commands of a console block: no comments, continued lines joined, ``&&`` parted."""
    text = re.sub(r"\\\n\s*", "", block.text)
    lines = (re.sub(r"\s+#.*", "", line).strip() for line in text.splitlines())
    return [part.strip() for line in lines for part in line.split("&&") if part.strip()]


def _language(said: str, text: str) -> str:
    if said and said not in ("console", "bash", "sh", "python"):
        return said
    if text.lstrip().startswith(">>>"):
        return "doctest"
    return "console" if _COMMAND.match(text.lstrip()) else said or "python"


def _fenced(page: str, text: str) -> list[Block]:
    return [
        Block(page, text[: match.start()].count("\n") + 2, _language(match[1], match[2]), match[2])
        for match in _FENCE.finditer(text)
    ]


def _indented(page: str, text: str) -> list[Block]:
    lines = text.splitlines()
    found, place = [], 0
    while place < len(lines):
        line = lines[place]
        place += 1
        directive = re.match(r"^\s*\.\. code-block::\s*(\w*)", line)
        prompt = line.startswith(">>>")
        if not (directive or prompt or (line.endswith("::") and not line.lstrip().startswith(".. "))):
            continue
        start, indent = place, len(line) - len(line.lstrip())
        if prompt:
            start -= 1
            while place < len(lines) and lines[place].strip():
                place += 1
        else:
            while place < len(lines) and (
                not lines[place].strip() or len(lines[place]) - len(lines[place].lstrip()) > indent
            ):
                place += 1
        body = lines[start:place]
        while body and (not body[0].strip() or re.match(r"^\s+:\w+:", body[0])):
            body, start = body[1:], start + 1
        text_of = textwrap.dedent("\n".join(body)).strip("\n") + "\n"
        found.append(Block(page, start + 1, _language(directive[1] if directive else "", text_of), text_of))
    return found

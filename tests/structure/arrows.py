"""Which modules a Cython file imports, and whether the arrows of the design allow it.

Import-linter reads Python files only. This reads the others: it splits a file into tokens, so that
neither comments nor docstrings count, and understands the statements that bring a module in:
``import``, ``from ... import``, ``cimport``, ``from ... cimport`` and ``include``.
"""

from __future__ import annotations

import io
import re
import tokenize
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ("tensorops", "profiling")
_SKIPPED = {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}


@dataclass(frozen=True, slots=True)
class Arrows:
    """The contracts of ``pyproject.toml``: layers from the top down, and the leaves below them all.

    Attributes
    ----------
    stacks : tuple of tuple of tuple of str
        Each stack of layers, each layer a tuple of module names that stand side by side.
    leaves : tuple of str
        Modules that anybody may import and that import no layer themselves.
    """

    stacks: tuple[tuple[tuple[str, ...], ...], ...]
    leaves: tuple[str, ...]

    @classmethod
    def read(cls, path: Path = ROOT / "pyproject.toml") -> Arrows:
        """Read the layers that import-linter enforces on the Python files."""
        contracts = tomllib.loads(path.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
        stacks = tuple(
            tuple(tuple(re.findall(r"[\w.]+", layer)) for layer in contract["layers"])
            for contract in contracts
            if contract["type"] == "layers"
        )
        (leaves,) = (contract["source_modules"] for contract in contracts if contract["id"] == "leaves")
        return cls(stacks, tuple(leaves))

    def violation(self, importer: str, imported: str) -> str | None:
        """Return why `importer` must not import `imported`, or None where it may."""
        if imported.split(".")[0] not in OURS:
            return None
        if _inside(importer, "tensorops") and _inside(imported, "profiling"):
            return f"{importer} imports {imported}: tensorops never imports profiling"
        if any(_inside(imported, leaf) for leaf in self.leaves):
            return None
        if any(_inside(importer, leaf) for leaf in self.leaves):
            return f"{importer} imports {imported}: a leaf imports no layer"
        for stack in self.stacks:
            above, below = _level(stack, importer), _level(stack, imported)
            if above is not None and below is not None and below < above:
                return f"{importer} imports {imported}: {stack[below][0]} stands above {stack[above][0]}"
        return None


def _inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def _level(stack: tuple[tuple[str, ...], ...], module: str) -> int | None:
    for level, layer in enumerate(stack):
        if any(_inside(module, package) for package in layer):
            return level
    return None


def _statements(text: str) -> Iterator[list[str]]:
    """Yield the tokens of each logical line, split at semicolons and after a block's colon."""
    statement: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in _SKIPPED:
            continue
        if token.type in (tokenize.NEWLINE, tokenize.ENDMARKER) or token.string in (";", ":"):
            if statement:
                yield statement
            statement = []
        else:
            statement.append(token.string)


def _absolute(target: str, package: str) -> str:
    """Resolve leading dots of `target` against the package of the file."""
    name = target.lstrip(".")
    dots = len(target) - len(name)
    if not dots:
        return target
    base = package.split(".")[: len(package.split(".")) - (dots - 1)]
    return ".".join([*base, *([name] if name else [])])


def _names(tokens: Iterable[str]) -> list[str]:
    """Split ``a.b as c, d`` and its form in brackets into ``a.b`` and ``d``."""
    parts = " ".join(tokens).replace("(", " ").replace(")", " ").split(",")
    return [part.split(" as ")[0].replace(" ", "") for part in parts if part.strip()]


def imports(text: str, package: str) -> set[str]:
    """Return every module or member that the Cython source `text` brings in, by its full dotted name.

    Parameters
    ----------
    text : str
        Source of a ``.pyx``, ``.pxd`` or ``.pxi`` file.
    package : str
        Dotted name of the package the file stands in, for relative imports and ``include``.

    Returns
    -------
    set of str
        ``from a.b import c`` gives ``"a.b.c"``, because ``c`` may be a module.
    """
    found: set[str] = set()
    for tokens in _statements(text):
        if tokens[0] in ("import", "cimport"):
            found.update(_names(tokens[1:]))
        elif tokens[0] == "from":
            verb = next((i for i, token in enumerate(tokens) if token in ("import", "cimport")), None)
            if verb is None:
                continue
            origin = _absolute("".join(tokens[1:verb]), package)
            found.update(f"{origin}.{name}" for name in _names(tokens[verb + 1 :]))
        elif tokens[0] == "include" and len(tokens) == 2:
            folder = [*package.split("."), *tokens[1].strip("'\"").split("/")[:-1]]
            resolved: list[str] = []
            for part in folder:
                if part == "..":
                    resolved.pop()
                elif part != ".":
                    resolved.append(part)
            stem = tokens[1].strip("'\"").split("/")[-1].rsplit(".", 1)[0]
            found.add(".".join([*resolved, stem]))
    return found

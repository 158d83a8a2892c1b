"""A chain of elementwise steps, each with a temporary array: one compiled pass of exactly that expression."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tensorops.fuse.whitelist import BY_NAME

from ..candidates import Match, Site
from ..trees import REDUCTIONS, Tree, expression

FEWEST_STEPS = 3
FUSED_REDUCTIONS = ("sum", "mean", "max", "min")
ALSO_FUSED = frozenset({"clip"})


def find(site: Site) -> Iterator[Match]:
    """Yield the fused form of a chain.

    Parameters
    ----------
    site : Site
        A tree in its place.

    Yields
    ------
    Match
        At most one.
    """
    tree = site.tree
    body = tree.args[0] if tree.op in FUSED_REDUCTIONS and tree.op in REDUCTIONS else tree
    if body is not tree and tree.value[1]:
        return
    inputs = _inputs(site, body)
    if not _is_step(body) or not any(site.is_array(part) for part in inputs):
        return
    if body in inputs or _steps(site, body, inputs) < FEWEST_STEPS or len(inputs) > 16:
        return
    names = _parameter_names(site, inputs)
    name = f"fused_{site.analysis.run.lines_of(site.root.statement)[0]}"
    body_text = "\n    ".join(_lines(site, tree, names))
    setup = f"@tensorops.fuse\ndef {name}({', '.join(names.values())}):\n    {body_text}"
    arguments = ", ".join(site.render(part) for part in inputs)
    kept = tuple(dict.fromkeys(part for one in inputs for part in site.named_parts(one)))
    first = site.render(inputs[0])
    yield Match(
        "@tensorops.fuse",
        f"{name}({arguments})",
        kept,
        setup=setup,
        in_place={first: f"{name}.inplace({arguments})"},
        note="Its first call compiles it, once on this machine.",
    )


def _lines(site: Site, tree: Tree, names: dict[Tree, str]) -> Iterator[str]:
    """Yield the body of a fused function: the assignments that led to the tree, and its return."""
    written: dict[Tree, ast.expr] = {part: ast.Name(name, ast.Load()) for part, name in names.items()}
    taken = set(names.values())
    held: dict[int, Tree] = {}
    for part in tree.walk():
        if part.statement is not None and part not in names:
            held[part.statement] = part
    for statement in sorted(held):
        part = held[statement]
        if _is_step(part) and part.place.isidentifier() and part.place not in taken and part != tree:
            yield f"{part.place} = {ast.unparse(expression(part, written, site.numpy_name))}"
            written[part] = ast.Name(part.place, ast.Load())
            taken.add(part.place)
    yield f"return {ast.unparse(expression(tree, written, site.numpy_name))}"


def _is_step(tree: Tree) -> bool:
    return tree.op in BY_NAME or tree.op in ALSO_FUSED


def _inputs(site: Site, body: Tree) -> list[Tree]:
    """Return what goes into a chain: names, and values that are not computed element by element.

    A value that such a one needs by its name is there anyway: it goes in too.
    """
    needed: set[Tree] = set()
    while True:
        found: list[Tree] = []

        def go(part: Tree, into: list[Tree], given: frozenset[Tree]) -> None:
            if _is_step(part) and part not in given:
                for arg in part.args:
                    go(arg, into, given)
            elif part.op != "number" and part not in into:
                into.append(part)

        go(body, found, frozenset(needed))
        more = {named for part in found for named in site.named_parts(part) if named.op != "name"}
        if more <= needed:
            return found
        needed |= more


def _steps(site: Site, tree: Tree, inputs: list[Tree]) -> int:
    """Return how many different steps go over arrays."""

    def on_arrays(part: Tree) -> bool:
        if part.op == "number":
            return False
        if part in inputs or not _is_step(part):
            return site.number(part) is None
        return any(map(on_arrays, part.args))

    def go(part: Tree) -> set[Tree]:
        if part in inputs or not _is_step(part):
            return set()
        found = set().union(*(go(arg) for arg in part.args))
        return found | {part} if on_arrays(part) else found

    return len(go(tree))


def _parameter_names(site: Site, inputs: list[Tree]) -> dict[Tree, str]:
    names: dict[Tree, str] = {}
    for number, part in enumerate(inputs):
        text = site.named(part).value if site.named(part).op == "name" else f"value_{number}"
        words = "".join(letter if letter.isalnum() else "_" for letter in text).strip("_")
        name = words if words.isidentifier() and words not in names.values() else f"value_{number}"
        names[part] = name
    return names

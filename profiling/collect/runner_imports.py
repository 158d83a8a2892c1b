"""Watch a program's imports: begin when NumPy is there, prepare the code of the user's own modules."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any


@contextlib.contextmanager
def toolkit_on_path() -> Iterator[None]:
    """Make this toolkit and the library importable: a script's own path need not lead to them.

    Yields
    ------
    None
        The path is as it was at the end.
    """
    packages = str(Path(__file__).parent.parent.parent)
    sys.path.append(packages)
    try:
        yield
    finally:
        sys.path.remove(packages)


class ImportWatch:
    """A finder of ``sys.meta_path``: finds modules as those after it do, and wraps what their loaders do.

    It has no base class: ``importlib.abc`` imports much that a program may never need.

    NumPy is not imported for a program's sake: a script may set variables of the environment that NumPy and
    its BLAS read when they are loaded.

    Parameters
    ----------
    on_numpy : callable, optional
        Called without arguments when NumPy has been loaded.
    prepare : callable, optional
        From the code of a module of the user's own to the code that runs instead.
    is_own : callable
        Whether a file is the user's own.
    """

    def __init__(
        self,
        on_numpy: Callable[[], None] | None,
        prepare: Callable[[CodeType], CodeType] | None,
        is_own: Callable[[str], bool],
    ) -> None:
        self._on_numpy = on_numpy
        self._prepare = prepare
        self._is_own = is_own

    def install(self) -> None:
        """Stand before all other finders; if NumPy is there already, begin at once."""
        if self._on_numpy is not None and "numpy" in sys.modules:
            self._on_numpy()
            self._on_numpy = None
        if self not in sys.meta_path and (self._on_numpy is not None or self._prepare is not None):
            sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Watch no more."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec that the other finders give, with its loader wrapped where need be."""
        spec: ModuleSpec | None = None
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            if finder is not self and find is not None:
                spec = find(name, path, target)
                if spec is not None:
                    break
        if spec is None or spec.loader is None:
            return spec
        if name == "numpy" and self._on_numpy is not None:
            self._wrap_numpy(spec.loader)
        elif self._prepare is not None and spec.origin and self._is_own(spec.origin):
            _wrap_code(spec.loader, self._prepare)
        return spec

    def _wrap_numpy(self, loader: Any) -> None:
        load = loader.exec_module
        begin = self._on_numpy

        def load_and_begin(module: ModuleType) -> None:
            load(module)
            if begin is not None:
                begin()

        loader.exec_module = load_and_begin
        self._on_numpy = None
        if self._prepare is None:
            self.remove()


def _wrap_code(loader: Any, prepare: Callable[[CodeType], CodeType]) -> None:
    get_code = getattr(loader, "get_code", None)
    if get_code is None:
        return

    def get_prepared(name: str) -> CodeType | None:
        code: CodeType | None = get_code(name)
        return code if code is None else prepare(code)

    loader.get_code = get_prepared

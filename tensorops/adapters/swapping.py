"""Exchange the code of functions that exist, wherever they are bound, and put it back.

A function may be bound under several names, kept by a decorator or closed over: exchanging its code object
reaches all of them, and nothing in the module's or the class's namespace changes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType


def live_functions(modules: set[str]) -> Iterator[FunctionType]:
    """Return every function that some modules have defined and that still exists.

    Parameters
    ----------
    modules : set of str
        Names of modules.

    Yields
    ------
    function
        Module functions, methods, and functions made inside others.
    """
    for thing in gc.get_objects():
        if type(thing) is FunctionType and thing.__module__ in modules:
            yield thing


class Swap:
    """Functions whose code was exchanged.

    Parameters
    ----------
    modules : set of str
        Names of the modules whose functions are looked at.
    """

    def __init__(self, modules: set[str]) -> None:
        self.modules = modules
        self._pairs: list[tuple[str | None, CodeType, CodeType]] = []
        self._single: list[tuple[FunctionType, CodeType, CodeType]] = []

    def exchange_all(self, module: str, codes: Mapping[tuple[str, int], tuple[CodeType, CodeType]]) -> int:
        """Exchange the code of all functions of a module that have one of these codes.

        Parameters
        ----------
        module : str
            Its name.
        codes : mapping
            Codes before and after.

        Returns
        -------
        int
            How many functions were found.
        """
        pairs = [(module, old, new) for old, new in codes.values()]
        self._pairs += pairs
        return self._apply([(module, old, new) for _, old, new in pairs])

    def exchange(self, function: FunctionType, code: CodeType) -> None:
        """Exchange the code of one function."""
        self._single.append((function, function.__code__, code))
        function.__code__ = code

    def undo(self) -> list[str]:
        """Put everything back.

        Returns
        -------
        list of str
            Functions whose code somebody else has exchanged meanwhile: they stay as they are.
        """
        others = []
        for function, old, new in reversed(self._single):
            if function.__code__ is new:
                function.__code__ = old
            else:
                others.append(f"{function.__module__}.{function.__qualname__}")
        # Functions that were made by functions with new code are found here too.
        self._apply([(module, new, old) for module, old, new in self._pairs])
        self._pairs, self._single = [], []
        return others

    def _apply(self, triples: list[tuple[str | None, CodeType, CodeType]]) -> int:
        after = {(module, old.co_qualname, old): new for module, old, new in triples}
        count = 0
        for function in live_functions(self.modules):
            code = function.__code__
            new = after.get((function.__module__, code.co_qualname, code))
            if new is not None:
                function.__code__ = new
                count += 1
        return count

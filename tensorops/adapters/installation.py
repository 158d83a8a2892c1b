"""`install` and `uninstall`."""

from __future__ import annotations

import importlib
import inspect
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType, ModuleType, TracebackType
from typing import Any

from tensorops.adapters import calls, hooks
from tensorops.adapters.record import Recorder
from tensorops.adapters.rewriting import Product, rewrite
from tensorops.adapters.swapping import Swap
from tensorops.adapters.tensors import tensor_class, untouched_generators
from tensorops.boundary.products import matmul

_installed: dict[str, Installation] = {}
_lock = threading.Lock()
_CALLS: dict[str, Callable[..., Any]] = {
    "fresh": calls.fresh,
    "loops": calls.loops,
    "operator": calls.operator,
    "function": matmul,
}
_WORDS = {
    "fresh": "nested loops",
    "loops": "nested loops",
    "operator": "a @ b of arrays",
    "function": "np.matmul",
}


@dataclass(frozen=True, slots=True)
class Site:
    """A function of the library, and what became of it.

    Attributes
    ----------
    name : str
        Module and qualified name.
    line : int
        In its file.
    what : str
        What is computed here now, or would be.
    reason : str
        Why it was left as it is; empty where it was replaced.
    """

    name: str
    line: int
    what: str
    reason: str = ""

    @property
    def replaced(self) -> bool:
        """Whether it is computed here."""
        return not self.reason


class Installation:
    """The operations under one library; `install` makes it.

    Parameters
    ----------
    package : module
        The library.
    record : bool
        Whether to note calls, shapes, dtypes and times.

    Attributes
    ----------
    sites : list of Site
        What was replaced, and what was left for which reason.
    """

    def __init__(self, package: ModuleType, record: bool) -> None:
        self.package = package
        self.sites: list[Site] = []
        self.recorder = Recorder() if record else None
        self._modules = _modules_of(package)
        self._swap = Swap(set(self._modules))

    def __enter__(self) -> Installation:
        """Return it: the operations are in place."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put everything back."""
        self.uninstall()

    @property
    def active(self) -> bool:
        """Whether the operations are in place."""
        return _installed.get(self.package.__name__) is self

    def uninstall(self) -> None:
        """Put the library's own functions back; nothing happens the second time."""
        with _lock:
            if self.active:
                del _installed[self.package.__name__]
                for name in self._swap.undo():
                    self.sites.append(Site(name, 0, "", "its code was exchanged again meanwhile: left so"))

    def report(self) -> str:
        """Return what was replaced as text and, where calls were noted, their shapes and times.

        Returns
        -------
        str
            A line for each function, then a table.
        """
        lines = [f"tensorops under {self.package.__name__}: {sum(s.replaced for s in self.sites)} places"]
        for site in self.sites:
            state = site.what if site.replaced else f"left: {site.reason}"
            lines.append(f"  {site.name}:{site.line}  {state}")
        if self.recorder is not None:
            lines += ["", *self.recorder.table()]
        return "\n".join(lines)

    __str__ = report

    def _put_in_place(self) -> None:
        for name, module in self._modules.items():
            self._replace_products(name, module)
        kind = tensor_class(list(self._modules.values()))
        if kind is not None:
            with untouched_generators():
                for module in self._modules.values():
                    self._replace_functions(module, kind)
        if self.recorder is not None:
            # The trials are not the library's calls.
            self.recorder.calls.clear()
        if not any(site.replaced for site in self.sites):
            raise ValueError(self._nothing_found())

    def _replace_products(self, name: str, module: ModuleType) -> None:
        source = _source_of(module)
        if source is None:
            return
        codes, found = rewrite(module, source, self._call_for(name))
        count = self._swap.exchange_all(name, codes)
        if found and not count:
            self.sites.append(
                Site(name, 0, "", "its source is not what was imported: it has changed since, import it anew")
            )
            return
        self.sites += [
            Site(f"{name}.{product.function}", product.line, _WORDS[product.kind]) for product in found
        ]

    def _call_for(self, module: str) -> Callable[[Product], Callable[..., Any]]:
        def call_for(product: Product) -> Callable[..., Any]:
            call = _CALLS[product.kind]
            if self.recorder is None:
                return call
            return self.recorder.product(f"{module}.{product.function}", product, call)

        return call_for

    def _replace_functions(self, module: ModuleType, kind: type) -> None:
        for name, thing in list(vars(module).items()):
            if getattr(thing, "__module__", None) != module.__name__:
                continue
            if isinstance(thing, type):
                method = vars(thing).get("forward") or vars(thing).get("__call__")
                if isinstance(method, FunctionType):
                    self._replace(method, name, thing, kind)
            elif isinstance(thing, FunctionType):
                self._replace(thing, name, None, kind)

    def _replace(self, function: FunctionType, name: str, owner: type | None, kind: type) -> None:
        linear = owner is not None and name in hooks.LINEAR_CLASSES
        candidates = hooks.ACTIVATIONS.get(name.lower(), ())
        if not linear and not candidates:
            return
        place = f"{function.__module__}.{function.__qualname__}"
        line = function.__code__.co_firstlineno
        original = hooks.copy_of(function)
        reason = ""
        for what, operation in candidates or (("linear", calls.operator),):

            def timed(call: Callable[..., Any], what: str = what) -> Callable[..., Any]:
                return call if self.recorder is None else self.recorder.operation(place, what, call)

            try:
                if linear:
                    assert owner is not None
                    hook = hooks.linear_hook(original, kind, lambda call: call)
                    hooks.check_linear(owner, hook, original, kind)
                    hook = hooks.linear_hook(original, kind, timed)
                else:
                    hook = hooks.activation_hook(
                        original, kind, operation, owner is not None, lambda call: call
                    )
                    hooks.check_activation(hook, original, owner, kind)
                    hook = hooks.activation_hook(original, kind, operation, owner is not None, timed)
                self._swap.exchange(function, hooks.code_that_calls(function, hook))
            except hooks.Unfit as unfit:
                reason = str(unfit)
            else:
                self.sites.append(Site(place, line, what))
                return
        self.sites.append(Site(place, line, candidates[0][0] if candidates else "linear", reason))

    def _nothing_found(self) -> str:
        name = self.package.__name__
        products_named = sorted(
            f"{module}.{found}"
            for module, namespace in self._modules.items()
            for found in vars(namespace)
            if "matmul" in found
        )
        left = [f"{site.name}: {site.reason}" for site in self.sites]
        known = ", ".join(products_named) or "no name with 'matmul' in it"
        why = f" ({'; '.join(left)})" if left else ""
        return (
            f"{name} has no product that can be replaced: looked for nested loops over matrices, a @ b and "
            f"np.matmul in the functions of {', '.join(sorted(self._modules))}; found {known}{why}"
        )


def install(package: ModuleType | str, *, record: bool = False) -> Installation:
    """Put the operations under a course-style library.

    Parameters
    ----------
    package : module or str
        The library, or the name it is imported by. All its modules that are imported by now are looked at.
    record : bool, default False
        Note calls, shapes, dtypes and times, for `Installation.report`; costs about a microsecond a call.

    Returns
    -------
    Installation
        What was done; also a context manager that takes the operations away again.

    Raises
    ------
    TypeError
        If `package` is neither a module nor a name.
    ModuleNotFoundError
        If there is no module of that name.
    ValueError
        If it has nothing to replace.
    RuntimeError
        If the operations are under this library already.

    Notes
    -----
    Products are found in the source: nested loops that multiply matrices, ``@`` and ``np.matmul``; the
    function's code is exchanged, so every name, method, decorator and closure that leads to it is reached,
    and its checks, errors and graph stay. Linear layers and activations are replaced as wholes, once they
    have been tried against the library's own; where a gradient is wanted the own ones run. No name of the
    library is bound anew. Modules imported later are not looked at.

    Examples
    --------
    >>> import numpy as np, tensorops, tempfile, pathlib, sys
    >>> folder = tempfile.TemporaryDirectory()
    >>> text = '''
    ... import numpy as np
    ... def matmul(a, b):
    ...     c = np.zeros((a.shape[0], b.shape[1]), a.dtype)
    ...     for i in range(a.shape[0]):
    ...         for j in range(b.shape[1]):
    ...             for k in range(a.shape[1]):
    ...                 c[i, j] += a[i, k] * b[k, j]
    ...     return c
    ... '''
    >>> _ = pathlib.Path(folder.name, "loops_example.py").write_text(text)
    >>> sys.path.insert(0, folder.name)
    >>> import loops_example
    >>> with tensorops.install(loops_example) as swap:
    ...     loops_example.matmul(np.ones((2, 3)), np.ones((3, 1)))
    array([[3.],
           [3.]])
    >>> swap.sites[0].name, swap.sites[0].what
    ('loops_example.matmul', 'nested loops')
    >>> sys.path.remove(folder.name)
    >>> folder.cleanup()
    """
    if isinstance(package, str):
        package = importlib.import_module(package)
    if not isinstance(package, ModuleType):
        raise TypeError(f"install takes a module or its name, not {type(package).__name__}")
    with _lock:
        name = package.__name__
        if name in _installed:
            raise RuntimeError(f"tensorops is under {name} already; uninstall it first")
        around = [
            other for other in _installed if name.startswith(f"{other}.") or other.startswith(f"{name}.")
        ]
        if around:
            raise RuntimeError(f"tensorops is under {around[0]} already, which shares modules with {name}")
        made = Installation(package, record)
        try:
            made._put_in_place()
        except BaseException:
            made._swap.undo()
            raise
        _installed[name] = made
    return made


def uninstall(package: ModuleType | str) -> None:
    """Put a library's own functions back.

    Parameters
    ----------
    package : module or str
        What `install` was called with.

    Raises
    ------
    ValueError
        If the operations are not under this library.

    Examples
    --------
    >>> import tensorops
    >>> tensorops.uninstall("json")
    Traceback (most recent call last):
    ...
    ValueError: tensorops is under no library named 'json'; under: none
    """
    name = package if isinstance(package, str) else package.__name__
    found = _installed.get(name)
    if found is None:
        raise ValueError(
            f"tensorops is under no library named {name!r}; under: {', '.join(_installed) or 'none'}"
        )
    found.uninstall()


def _modules_of(package: ModuleType) -> dict[str, ModuleType]:
    name = package.__name__
    return {
        found: module
        for found, module in list(sys.modules.items())
        if (found == name or found.startswith(f"{name}.")) and isinstance(module, ModuleType)
    } or {name: package}


def _source_of(module: ModuleType) -> str | None:
    try:
        return inspect.getsource(module)
    except (OSError, TypeError):
        return None

"""A fused function, as the user calls it."""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorops.dispatch.active import active_backend
from tensorops.fuse import execution
from tensorops.fuse.building import Built, build, text_of
from tensorops.fuse.calling import Caller
from tensorops.fuse.errors import FuseError, FuseWarning, UnknownName
from tensorops.fuse.explanation import Explanation, explain_call
from tensorops.fuse.nodes import Graph
from tensorops.fuse.parse import parse_function
from tensorops.fuse.planning import Plan, make_plan
from tensorops.fuse.types import kind_of


class Fused(Caller):
    """A function of arrays and numbers that is computed in one pass.

    Parameters
    ----------
    function : function
        What was decorated.
    strict : bool
        Whether what cannot be fused is an error; else NumPy runs it and one warning says why.

    Attributes
    ----------
    fused_function : function
        The function itself; NumPy runs it when it is called.
    """

    __name__: str
    __qualname__: str

    def __init__(self, function: Callable[..., Any], strict: bool = False) -> None:
        super().__init__()
        self.fused_function = function
        self.strict = strict
        for name in ("__module__", "__name__", "__qualname__", "__doc__"):
            setattr(self, name, getattr(function, name, None))
        self.__wrapped__ = function
        self._graph: Graph | None = None
        self._reason: FuseError | None = None
        self._signature: inspect.Signature | None = None
        self._plans: dict[tuple[bool, ...], Plan | FuseError] = {}
        self._built: dict[Any, Built | FuseError] = {}
        self._last: Built | None = None
        self._said: set[str] = set()
        self._lock = threading.RLock()
        try:
            self._analyse()
        except UnknownName:
            # A name of the module that is defined below: asked for again by the first call.
            pass
        except FuseError as error:
            if strict:
                raise
            self._say(error, 4)

    def __repr__(self) -> str:
        return f"<fused function {self.__qualname__}>"

    def __reduce__(self) -> str:
        return str(self.__qualname__)

    def inplace(self, x: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Compute the expression into its first argument.

        Parameters
        ----------
        x : ndarray
            The first argument: it must have the result's shape, and a dtype that the result can be cast to.
        *args, **kwargs
            The others.

        Returns
        -------
        ndarray
            `x`.

        Raises
        ------
        TypeError
            If `x` is no array, or not of such a dtype.
        ValueError
            If its shape is another one or it is read-only. It is then as it was.
        """
        if not isinstance(x, np.ndarray):
            raise TypeError(
                f"{self.__name__}.inplace changes its first argument, an array, not {type(x).__name__}"
            )
        return self(x, *args, **kwargs, out=x)

    @property
    def source(self) -> str:
        """The Cython text of the kernel used last; before the first call, of one for float32 arrays."""
        if self._last is not None:
            return self._last.text
        plan, arguments = self._example()
        return text_of(plan, plan.types(arguments, plan.evaluate(arguments)))

    def explain(self, *args: Any, **kwargs: Any) -> Explanation:
        """Tell how a call is computed.

        Parameters
        ----------
        *args, **kwargs
            As of a call; without any, float32 arrays of one element are supposed.

        Returns
        -------
        Explanation
            Passes, bytes moved and temporary arrays, NumPy's and fused; it prints as a text.
        """
        try:
            if args or kwargs:
                arguments = [execution.prepared(value) for value in self._bound(args, kwargs)]
                plan = self._plan(arguments)
            else:
                plan, arguments = self._example()
            return explain_call(plan, arguments, plan.types(arguments, plan.evaluate(arguments)))
        except FuseError as error:
            return Explanation(reason=str(error))

    def general(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Compute any call; see `Caller`."""
        out = kwargs.pop("out", None)
        if out is not None and not isinstance(out, np.ndarray):
            raise TypeError(f"{self.__name__}: out must be an array, not {type(out).__name__}")
        backend = active_backend()
        if backend == "numpy":
            return self._by_numpy(args, kwargs, out)
        try:
            arguments = [execution.prepared(value) for value in self._bound(args, kwargs)]
            if not any(isinstance(value, np.ndarray) for value in arguments):
                return self._by_numpy(args, kwargs, out)
            plan = self._plan(arguments)
            values = plan.evaluate(arguments)
            built = self._kernel(plan, arguments, values)
        except FuseError as error:
            if self.strict:
                raise
            self._say(error, 3)
            return self._by_numpy(args, kwargs, out)
        if execution.is_empty_reduction(plan, arguments):
            return self._by_numpy(args, kwargs, out)
        result = execution.compute(self.__name__, plan, built, arguments, values, out)
        self._last = built
        if not kwargs and execution.is_plain(plan, built, len(args)):
            pattern = tuple([None if isinstance(value, np.ndarray) else type(value) for value in args])
            self.remember(pattern, plan.numbers, built.kernel)
        return result

    def _analyse(self) -> Graph:
        if self._reason is not None:
            raise self._reason
        if self._graph is None:
            try:
                self._graph = parse_function(self.fused_function)
                self._signature = inspect.signature(self.fused_function)
            except UnknownName:
                raise
            except FuseError as error:
                self._reason = error
                raise
        return self._graph

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sequence[Any]:
        """Return the arguments in the order of the parameters."""
        graph = self._analyse()
        assert self._signature is not None
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return [bound.arguments[name] for name in graph.parameters]

    def _example(self) -> tuple[Plan, list[Any]]:
        """Return a plan for float32 arrays, numbers where the parameters have a default."""
        graph = self._analyse()
        assert self._signature is not None
        empty = inspect.Parameter.empty
        defaults = [self._signature.parameters[name].default for name in graph.parameters]
        arguments = [
            np.empty(1, np.float32) if value is empty else execution.prepared(value) for value in defaults
        ]
        return self._plan(arguments), arguments

    def _plan(self, arguments: Sequence[Any]) -> Plan:
        graph = self._analyse()
        is_array = tuple([isinstance(value, np.ndarray) for value in arguments])
        plan = self._plans.get(is_array)
        if plan is None:
            try:
                plan = make_plan(graph, is_array)
            except FuseError as error:
                plan = error
            self._plans[is_array] = plan
        if isinstance(plan, FuseError):
            raise plan
        return plan

    def _kernel(self, plan: Plan, arguments: Sequence[Any], values: dict[int, Any]) -> Built:
        key = (
            tuple([value.dtype if isinstance(value, np.ndarray) else None for value in arguments]),
            tuple([kind_of(values[number]) for number in plan.numbers]),
        )
        built = self._built.get(key)
        if built is None:
            with self._lock:
                built = self._built.get(key)
                if built is None:
                    try:
                        built = build(plan, plan.types(arguments, values))
                    except FuseError as error:
                        built = error
                    self._built[key] = built
        if isinstance(built, FuseError):
            raise built
        return built

    def _by_numpy(self, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Any:
        result = self.fused_function(*args, **kwargs)
        return result if out is None else execution.written(self.__name__, result, out)

    def _say(self, error: FuseError, level: int) -> None:
        if str(error) not in self._said:
            self._said.add(str(error))
            warnings.warn(
                f"tensorops.fuse: NumPy runs {self.__name__!r}: {error}", FuseWarning, stacklevel=level
            )

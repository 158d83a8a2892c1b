"""What a setting of the current thread or asynchronous task returns: a context manager that takes it back."""

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Override(Generic[Value]):
    """A setting that was made; leaving its ``with`` block restores what was set before.

    Parameters
    ----------
    variable : ContextVar
        The setting.
    value : object
        What it is from now on, in this thread or asynchronous task.

    Examples
    --------
    >>> colour = ContextVar("colour", default="red")
    >>> with Override(colour, "blue"):
    ...     print(colour.get())
    blue
    >>> colour.get()
    'red'
    """

    __slots__ = ("_before", "_variable")

    def __init__(self, variable: ContextVar[Value], value: Value) -> None:
        self._variable = variable
        self._before = variable.get()
        variable.set(value)

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._variable.set(self._before)

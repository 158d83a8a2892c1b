"""The names of a running frame and their values, without a trace of having been asked for.

Until Python 3.13 a frame that is asked for its locals makes a dictionary of them and keeps it, and with it
every array in it: the program would hold memory that it gave back. Here they are read where they are.
"""

from cpython.object cimport PyObject

from types import CellType

cdef extern from *:
    """
    #if PY_VERSION_HEX < 0x030D0000
      #ifndef Py_BUILD_CORE
        #define Py_BUILD_CORE 1
      #endif
      #include <internal/pycore_frame.h>
      #define tensorops_in_place 1
      static PyObject *tensorops_local(PyObject *frame, Py_ssize_t place) {
          return ((PyFrameObject *)frame)->f_frame->localsplus[place];
      }
    #else
      #define tensorops_in_place 0
      static PyObject *tensorops_local(PyObject *frame, Py_ssize_t place) { return NULL; }
    #endif
    """
    bint IN_PLACE "tensorops_in_place"
    PyObject *local_at "tensorops_local"(PyObject *frame, Py_ssize_t place) noexcept

cdef enum:
    HAS_LOCALS = 1  # CO_OPTIMIZED: the code of a function, whose locals have places.


def names_of(frame):
    """Return the values of the names that a frame's code mentions.

    Parameters
    ----------
    frame : frame
        Of a function or a module, of any thread; the GIL keeps it where it is.

    Returns
    -------
    dict of str to object
        Locals, those of the functions around it, and globals; names that have no value are left out.

    Examples
    --------
    >>> import sys
    >>> def function(x):
    ...     y = x + 1
    ...     return names_of(sys._getframe())
    >>> found = function(1)
    >>> found["x"], found["y"]
    (1, 2)
    """
    cdef Py_ssize_t place
    cdef PyObject *value
    code = frame.f_code
    values = frame.f_globals
    found = {name: values[name] for name in code.co_names if name in values}
    if not code.co_flags & HAS_LOCALS:
        return found
    names = code.co_varnames
    names += tuple([name for name in code.co_cellvars if name not in names]) + code.co_freevars
    if not IN_PLACE:
        values = frame.f_locals
        found.update({name: values[name] for name in names if name in values})
        return found
    for place in range(len(names)):
        value = local_at(<PyObject *>frame, place)
        if value == NULL:
            continue
        held = <object>value
        if type(held) is CellType:
            try:
                held = held.cell_contents
            except ValueError:
                continue
        found[names[place]] = held
    return found

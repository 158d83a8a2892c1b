# The Python frames of this thread, innermost first, read where they are: asking the interpreter for a
# frame object makes one, which slows each function that allocates.

from cpython.object cimport PyObject

cdef extern from *:
    """
    #if PY_VERSION_HEX < 0x030E0000
      #ifndef Py_BUILD_CORE
        #define Py_BUILD_CORE 1
      #endif
      #include <internal/pycore_frame.h>
      typedef _PyInterpreterFrame tensorops_frame;

      static inline tensorops_frame *tensorops_complete(tensorops_frame *frame) {
          while (frame != NULL && _PyFrame_IsIncomplete(frame)) frame = frame->previous;
          return frame;
      }
      static inline tensorops_frame *tensorops_innermost(void) {
          PyThreadState *state = _PyThreadState_UncheckedGet();
          if (state == NULL) return NULL;
      #if PY_VERSION_HEX < 0x030D0000
          return tensorops_complete(state->cframe->current_frame);
      #else
          return tensorops_complete(state->current_frame);
      #endif
      }
      static inline tensorops_frame *tensorops_outer(tensorops_frame *frame) {
          return tensorops_complete(frame->previous);
      }
      static inline void *tensorops_code(tensorops_frame *frame) {
      #if PY_VERSION_HEX < 0x030D0000
          return frame->f_code;
      #else
          return _PyFrame_GetCode(frame);
      #endif
      }
      static inline int tensorops_instruction(tensorops_frame *frame) {
          return _PyInterpreterFrame_LASTI(frame) * (int) sizeof(_Py_CODEUNIT);
      }
    #else
      /* References are given back at once: the stack itself keeps its frames and their code alive. */
      typedef PyFrameObject tensorops_frame;

      static inline tensorops_frame *tensorops_innermost(void) { return PyEval_GetFrame(); }
      static inline tensorops_frame *tensorops_outer(tensorops_frame *frame) {
          tensorops_frame *back = PyFrame_GetBack(frame);
          Py_XDECREF(back);
          return back;
      }
      static inline void *tensorops_code(tensorops_frame *frame) {
          PyCodeObject *code = PyFrame_GetCode(frame);
          Py_DECREF(code);
          return code;
      }
      static inline int tensorops_instruction(tensorops_frame *frame) { return PyFrame_GetLasti(frame); }
    #endif
    """
    ctypedef struct Frame "tensorops_frame":
        pass

    Frame *innermost_frame "tensorops_innermost"() noexcept nogil
    Frame *outer_frame "tensorops_outer"(Frame *) noexcept nogil
    void *frame_code "tensorops_code"(Frame *) noexcept nogil
    int frame_instruction "tensorops_instruction"(Frame *) noexcept nogil

cdef extern from "Python.h":
    ctypedef struct PyCodeObject
    int PyCode_Addr2Line(PyCodeObject *code, int instruction)

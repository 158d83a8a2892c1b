"""Accesses are read from the source of the kernels, and what cannot be followed is refused."""

import textwrap

import pytest

from profiling.cases import square_case
from profiling.collect.lines import count_lines, why_untraceable
from profiling.model.accesses import ArrayLayout, LoopNestError, arrange
from profiling.model.cache import kernel_program, ladder_kernels
from profiling.model.loop_nest import LoopNest
from profiling.model.lru import Simulator
from profiling.targets import TARGETS, run_traced, traced_functions

HEAD = """
ctypedef fused real_t:
    float
    double


def kernel(const real_t[:, :] a, real_t[:, ::1] b, Py_ssize_t block=2, real_t factor=1):
    \"\"\"Do something.\"\"\"
    cdef Py_ssize_t m = a.shape[0]
    cdef Py_ssize_t i, j, last, place
    cdef real_t total
    with nogil:
"""


def nest_of(tmp_path, body):
    path = tmp_path / "made.pyx"
    text = HEAD + textwrap.indent(textwrap.dedent(body).strip(), 8 * " ") + "\n\n\ndef other():\n    pass\n"
    path.write_text(text, encoding="utf-8")
    return LoopNest(path, "kernel")


def counts_of(nest, rows=4, columns=3, **numbers):
    """Return how often each access is made, by its text."""
    program = nest.program(arrange({"a": (rows, columns), "b": (rows, columns)}, 4), **numbers)
    simulator = Simulator([(64, 8)], 64, max(1, len(program.accesses)))
    simulator.run(program.operations, program.forms)
    return {
        (access.text, access.is_write): count
        for access, (count, *_) in zip(program.accesses, simulator.counts(), strict=True)
    }


def test_reads_come_before_writes_and_a_compound_assignment_does_both(tmp_path):
    nest = nest_of(
        tmp_path,
        """
        for i in range(m):
            total = 0
            for j in range(a.shape[1]):
                total = total + a[i, j] * a[i, 0]
            b[i, 0] += total  # a comment
        """,
    )
    program = nest.program(arrange({"a": (4, 3), "b": (4, 3)}, 4))
    assert [(access.text, access.is_write, access.stride) for access in program.accesses] == [
        ("a[i, j]", False, 4),
        ("a[i, 0]", False, 0),
        ("b[i, 0]", False, 12),
        ("b[i, 0]", True, 12),
    ]
    lines = nest.path.read_text(encoding="utf-8").splitlines()
    assert all(access.array in lines[access.line - 1] for access in program.accesses)
    assert counts_of(nest)[("a[i, j]", False)] == 12


def test_steps_of_both_kinds_and_ragged_ends_are_followed(tmp_path):
    nest = nest_of(
        tmp_path,
        """
        for place from 0 <= place < m by block:
            last = min(place + block, m)
            for i in range(place, last):
                b[i, 1] = 0
        for i in range(1, m, 2):
            b[i - 1, 2 * 1] = a[m - 1 - i, 0]
        """,
    )
    assert counts_of(nest, rows=7, block=3) == {
        ("b[i, 1]", True): 7,
        ("a[m - 1 - i, 0]", False): 3,
        ("b[i - 1, 2 * 1]", True): 3,
    }


def test_addresses_follow_the_strides_of_the_arrays(tmp_path):
    nest = nest_of(tmp_path, "for i in range(m):\n    b[i, 0] = a[i, 1]")
    layouts = {"a": ArrayLayout(64, (4, 2), (1024, 8)), "b": ArrayLayout(8192, (4, 2), (8, 32))}
    assert [access.stride for access in nest.program(layouts).accesses] == [1024, 8]


def test_known_conditions_are_decided(tmp_path):
    nest = nest_of(tmp_path, "if block > 2:\n    b[0, 0] = 0\nelse:\n    b[1, 1] = 0")
    assert counts_of(nest, block=3) == {("b[0, 0]", True): 1}
    assert counts_of(nest, block=2) == {("b[1, 1]", True): 1}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("while i < m:\n    i += 1", "cannot be followed"),
        ("for i in range(m):\n    i += 1", "cannot be followed"),
        ("for i in range(m):\n    for j in range(i * i):\n        b[0, 0] = 0", "sum of multiples"),
        ("for i in range(m):\n    if i > 2:\n        b[0, 0] = 0", "condition inside the loops"),
        ("for i in range(m):\n    place = <int>a[i, 0]", "that can be followed"),
        ("for i in range(m):\n    place = a[i, 0]", "index that is read from an array"),
        ("for i in range(m):\n    helper(a[i, 0])", "a call that is given elements"),
        ("for i in names:\n    b[0, 0] = 0", "only loops over ranges"),
        ("for i in range(m, 0, -1):\n    b[0, 0] = 0", "step of a loop|sum of multiples"),
        ("b[0] = 0", "one index per axis"),
        ("raise ValueError('no')", "the function raises for these arguments"),
        ("micro(&a[0, 0])", "that can be followed"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_its_line(tmp_path, body, reason):
    with pytest.raises(LoopNestError, match=reason) as refused:
        nest_of(tmp_path, body).program(arrange({"a": (4, 3), "b": (4, 3)}, 4))
    assert "made.pyx:" in str(refused.value)


def test_missing_functions_and_arguments_are_told(tmp_path):
    nest = nest_of(tmp_path, "b[0, 0] = 0")
    with pytest.raises(LoopNestError, match="no function 'absent'"):
        LoopNest(nest.path, "absent")
    with pytest.raises(LoopNestError, match="array 'b' of 2 axes"):
        nest.program(arrange({"a": (4, 3), "b": (4,)}, 4))
    with pytest.raises(LoopNestError, match="unknown arguments: depth"):
        nest.program(arrange({"a": (4, 3), "b": (4, 3)}, 4), depth=1)


def test_every_kernel_of_the_ladder_can_be_followed():
    for kernel in ladder_kernels("matmul"):
        nest, program = kernel_program(kernel, square_case(8, "float64"))
        assert {access.array for access in program.accesses} == set(nest.arrays)


@pytest.mark.skipif(why_untraceable() is not None, reason=str(why_untraceable()))
def test_the_accesses_of_a_line_are_its_hits_in_the_traced_twin():
    """The twin is compiled from the same source; what a tracer counts there is what the program makes."""
    target = TARGETS["matmul"]
    functions = count_lines(traced_functions(target), lambda: run_traced(target, "float32"))
    for call, traced in zip(target.traced, functions, strict=True):
        numbers = {name: value for name, value in call.options if isinstance(value, int)}
        _, program = kernel_program(call.function, square_case(target.traced_size, "float32"), numbers)
        simulator = Simulator([(64, 8)], 64, len(program.accesses))
        simulator.run(program.operations, program.forms)
        hits = {entry.line: entry.hits for entry in traced.lines}
        for access, (count, _) in zip(program.accesses, simulator.counts(), strict=True):
            assert count == hits[access.line], access

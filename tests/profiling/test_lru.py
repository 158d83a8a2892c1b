"""The simulator of caches counts as a slow and obvious one does."""

from collections import OrderedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiling.model import lru
from profiling.model.lru import Simulator, count_accesses

ACCESS, SET, LOOP = 0, 1, 2


class SlowCaches:
    """Each set of each level is a dict in the order of use."""

    def __init__(self, levels, line):
        self.levels = [([OrderedDict() for _ in range(sets)], ways) for sets, ways in levels]
        self.line = line

    def misses(self, address):
        """Return how many levels miss an address, and use it."""
        line = address // self.line
        for count, (sets, ways) in enumerate(self.levels):
            lines = sets[line % len(sets)]
            if line in lines:
                lines.move_to_end(line)
                return count
            lines[line] = True
            if len(lines) > ways:
                lines.popitem(last=False)
        return len(self.levels)


def addresses_program(addresses, slots):
    """Return a program that makes accesses one by one."""
    forms = [(address,) for address in addresses]
    return [(ACCESS, slot, place) for place, slot in enumerate(slots)], forms


def slow_counts(levels, line, addresses, slots, number):
    caches = SlowCaches(levels, line)
    counts = [[0] * (len(levels) + 1) for _ in range(number)]
    for address, slot in zip(addresses, slots, strict=True):
        counts[slot][0] += 1
        for level in range(caches.misses(address)):
            counts[slot][level + 1] += 1
    return [tuple(entry) for entry in counts]


SHAPES = st.tuples(st.sampled_from([1, 2, 3, 4, 5, 8]), st.sampled_from([1, 2, 3, 4, 7, 8, 12, 16]))


@settings(deadline=None, max_examples=150)
@given(
    levels=st.lists(SHAPES, min_size=1, max_size=4),
    line=st.sampled_from([16, 64]),
    accesses=st.lists(st.tuples(st.integers(64, 6000), st.integers(0, 2)), max_size=400),
)
def test_single_accesses_count_as_in_the_slow_caches(levels, line, accesses):
    addresses, slots = [address for address, _ in accesses], [slot for _, slot in accesses]
    simulator = Simulator(levels, line, 3)
    program = addresses_program(addresses, slots)
    assert simulator.run(*program) == len(accesses) == count_accesses(*program)
    assert simulator.counts() == slow_counts(levels, line, addresses, slots, 3)


@settings(deadline=None, max_examples=100)
@given(
    levels=st.lists(SHAPES, min_size=1, max_size=3),
    rows=st.integers(0, 12),
    columns=st.integers(0, 12),
    block=st.integers(1, 5),
    strides=st.tuples(st.integers(0, 300), st.integers(0, 300)),
)
def test_loops_count_as_the_same_loops_in_python(levels, rows, columns, block, strides):
    """For first in range(0, rows, block): last = min(first + block, rows); for i .. for j .. two accesses."""
    forms = [
        (0, 0, 0, 0, 0),
        (rows, 0, 0, 0, 0),
        (block, 1, 0, 0, 0),
        (rows, 0, 0, 0, 0),
        (0, 1, 0, 0, 0),
        (0, 0, 1, 0, 0),
        (columns, 0, 0, 0, 0),
        (4096, 0, 0, strides[0], strides[1]),
        (8192, 0, 0, 0, 8),
    ]
    operations = [
        (LOOP, 0, 0, 1, block, 6),
        (SET, 1, 2, 4),
        (LOOP, 2, 4, 5, 1, 6),
        (LOOP, 3, 0, 6, 1, 6),
        (ACCESS, 0, 7),
        (ACCESS, 1, 8),
    ]
    addresses, slots = [], []
    for first in range(0, rows, block):
        for i in range(first, min(first + block, rows)):
            for j in range(columns):
                addresses += [4096 + i * strides[0] + j * strides[1], 8192 + 8 * j]
                slots += [0, 1]
    # Variable 2 is `i` and variable 3 is `j`: the forms above have their factors in these places.
    forms[7] = (4096, 0, 0, strides[0], strides[1])
    simulator = Simulator(levels, 64, 2)
    assert simulator.run(operations, forms) == len(addresses) == count_accesses(operations, forms)
    assert simulator.counts() == slow_counts(levels, 64, addresses, slots, 2)


def test_caches_stay_warm_from_run_to_run_until_they_are_cleared():
    simulator = Simulator([(2, 2)], 64, 1)
    program = addresses_program([64, 128], [0, 0])
    for expected in ((2, 2), (4, 2)):
        simulator.run(*program)
        assert simulator.counts() == [expected]
    simulator.clear()
    simulator.run(*program)
    assert simulator.counts() == [(2, 2)]


def test_long_runs_tell_their_progress_and_can_be_stopped():
    forms, operations = (
        [(0,), (1 << 13,), (64,)],
        [(LOOP, 0, 0, 1, 1, 3), (LOOP, 1, 0, 1, 1, 3), (ACCESS, 0, 2)],
    )
    simulator, seen = Simulator([(4, 2)], 64, 1), []
    assert simulator.run(operations, forms, on_progress=seen.append) == 1 << 26
    assert seen == sorted(seen)
    assert 3 <= len(seen) <= 5

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulator.run(operations, forms, on_progress=stop)
    # It can be used again.
    simulator.clear()
    assert simulator.run(*addresses_program([64], [0])) == 1


@pytest.mark.parametrize(
    ("levels", "line", "slots", "message"),
    [
        ([], 64, 1, "1 to 4 levels"),
        ([(1, 1)] * 5, 64, 1, "1 to 4 levels"),
        ([(0, 8)], 64, 1, "at least 1 set of 1 way"),
        ([(8, 0)], 64, 1, "at least 1 set of 1 way"),
        ([(8, 8)], 48, 1, "power of two"),
        ([(8, 8)], 64, 0, "at least one slot"),
    ],
)
def test_impossible_caches_are_refused(levels, line, slots, message):
    with pytest.raises(ValueError, match=message):
        Simulator(levels, line, slots)


@pytest.mark.parametrize(
    ("operations", "forms"),
    [
        ([(ACCESS, 1, 0)], [(64,)]),
        ([(ACCESS, 0, 1)], [(64,)]),
        ([(ACCESS, 0)], [(64,)]),
        ([(SET, 0, 0, 2)], [(64,)]),
        ([(SET, lru.MAX_VARIABLES, 0, 1)], [(64,)]),
        ([(LOOP, 0, 0, 0, 0, 1)], [(64,)]),
        ([(LOOP, 0, 0, 0, 1, 2)], [(64,)]),
        ([(LOOP, 0, 0, 0, 1, 0)], [(64,)]),
        ([(3, 0, 0)], [(64,)]),
        ([], [(0,) * (lru.MAX_VARIABLES + 2)]),
        ([], [()]),
    ],
)
def test_programs_that_reach_beyond_their_tables_are_refused(operations, forms):
    with pytest.raises(ValueError, match=r"is not possible|a form has"):
        Simulator([(4, 2)], 64, 1).run(operations, forms)

"""Misses of the ladder's kernels: known numbers, and cachegrind's."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from profiling.cases import square_case
from profiling.model import cache, cachegrind
from profiling.model.brim import brim_sentence
from profiling.model.cache import TooManyAccessesError, explain, heat, simulate
from profiling.model.cachegrind import PACKED
from profiling.model.cachegrind_file import CachegrindError, LineCounts, lines_of, parse
from profiling.model.geometry import CacheLevel

L1, L2, L3 = (
    CacheLevel("L1", 32 << 10, 8, 64),
    CacheLevel("L2", 512 << 10, 8, 64),
    CacheLevel("L3", 4 << 20, 16, 64),
)
LEVELS = (L1, L2, L3)
WIDE_L1 = CacheLevel("L1", 48 << 10, 12, 64)


def test_a_column_of_b_misses_at_every_step_and_a_row_once_per_line():
    n = 128
    naive, reordered = (
        simulate(kernel, square_case(n, "float32"), LEVELS) for kernel in ("naive", "reordered")
    )
    (column,) = [site for site in naive.sites if site.access.array == "b"]
    # 128 lines of a column lie in 8 sets of 8 ways: gone before the next column comes.
    assert (column.count, column.misses[0]) == (n**3, n**3)
    (row,) = [site for site in reordered.sites if site.access.array == "b"]
    assert (row.count, row.misses[0]) == (n**3, n**3 // 16)
    # All three matrices fit in L2: it misses each line once.
    assert naive.misses[1:] == reordered.misses[1:] == (3 * n * n // 16,) * 2
    assert naive.accesses == 2 * n**3 + n * n
    assert naive.by_line[column.access.line][0] == 2 * n**3
    assert heat(naive.by_line)[column.access.line] == 1.0


@pytest.mark.parametrize("kernel", cache.ladder_kernels("matmul"))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_kernel_misses_less_than_once_per_line(kernel, dtype):
    case = square_case(24, dtype)
    lines = 3 * 24 * 24 * (4 if dtype == "float32" else 8) // 64
    assert simulate(kernel, case, LEVELS).misses == (lines,) * 3


def test_a_smaller_block_keeps_b_in_l1():
    case = square_case(128, "float32")
    small, large = (simulate("blocked", case, LEVELS, {"block": block}) for block in (16, 128))
    assert small.misses[0] < large.misses[0] / 3


@pytest.mark.parametrize(
    ("kernel", "size", "words"),
    [
        ("naive", 128, "b[p, j] on line"),
        ("naive", 128, "512 bytes apart, so each lands on another line, and that line is gone"),
        ("reordered", 128, "serves up to 16 accesses, and each is fetched anew"),
        ("blocked", 128, "most are still there"),
        ("naive", 16, "all that it uses fits L1"),
    ],
)
def test_the_sentence_fits_the_kernel(kernel, size, words):
    found = simulate(kernel, square_case(size, "float32"), LEVELS)
    assert words in explain(found, LEVELS, 4, least_lines=3 * size * size // 16)


def test_a_kernel_that_fills_l1_is_told_from_one_that_leaves_room():
    case = square_case(128, "float32")
    levels = (CacheLevel("L1", 32768, 8, 64), *LEVELS[1:])
    own, half = ({}, {"block": 32})
    assert "blocked fills L1 to the brim" in brim_sentence(
        simulate("blocked", case, levels), case, levels, own
    )
    assert brim_sentence(simulate("blocked", case, levels, half), case, levels, half) is None
    direct = (CacheLevel("L1", 32768, 1, 64),)
    assert brim_sentence(simulate("blocked", case, direct), case, direct) is None


def test_too_long_simulations_and_unequal_lines_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="lines of the same length"):
        simulate("naive", square_case(8, "float32"), (L1, CacheLevel("L2", 512 << 10, 8, 128)))
    monkeypatch.setattr(cache, "MOST_ACCESSES", 1000)
    with pytest.raises(TooManyAccessesError, match="makes 1,088 accesses; at most 1,000"):
        simulate("naive", square_case(8, "float32"), LEVELS)


EVENTS = "events: Ir I1mr ILmr Dr D1mr DLmr Dw D1mw DLmw"


def test_counts_are_read_by_file_and_line():
    text = [
        EVENTS,
        "fl=x/a.pyx",
        "fn=f",
        "3 9 0 0 4 2 1 1 1 1",
        "4 9",
        "fn=g",
        "3 1 0 0 6",
        "fl=b.c",
        "7 1 0 0 5",
    ]
    assert parse(text) == {
        ("x/a.pyx", 3): LineCounts(11, 3, 2),
        ("x/a.pyx", 4): LineCounts(0, 0, 0),
        ("b.c", 7): LineCounts(5, 0, 0),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [([], "no file of cachegrind"), (["events: Ir", "fl=a", "3 9"], "no counts of caches")],
)
def test_files_without_counts_are_told(text, message):
    with pytest.raises(CachegrindError, match=message):
        parse(text)


def test_lines_beyond_the_file_and_other_files_are_left_out(tmp_path):
    path = tmp_path / "k.pyx"
    path.write_text("one\ntwo\n", encoding="utf-8")
    one = LineCounts(1, 1, 1)
    folder = tmp_path.name
    counts = {(f"{folder}/k.pyx", 2): one, (f"{folder}/k.pyx", 3): one, ("other/k.pyx", 1): one}
    assert lines_of(counts, path) == {2: one}


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Put a script in the place of valgrind."""

    def make(script):
        program = tmp_path / "valgrind"
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    return make


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo first >&2; echo cannot do it >&2; exit 3", "exit code 3: cannot do it"),
        ("kill -9 $$", "ended by SIGKILL"),
        ("exit 0", "wrote no counts"),
    ],
)
def test_a_run_that_fails_says_how(stand_in, script, message):
    stand_in(script)
    layouts = list(cache.layouts_of("abc", square_case(8, "float32")).values())
    with pytest.raises(CachegrindError, match=message):
        cachegrind.run_kernels({"naive": {}}, layouts, "float32", LEVELS)


def test_a_missing_valgrind_is_told(monkeypatch):
    monkeypatch.setenv("PATH", "/no/such/folder")
    with pytest.raises(CachegrindError, match="valgrind is not installed"):
        cachegrind.run_kernels({"naive": {}}, [], "float32", LEVELS)


COUNTED = [(64, L1, 32), (128, L1, 32), (128, WIDE_L1, 64)]
WITH_CACHEGRIND = pytest.mark.skipif(
    cachegrind.why_unavailable() is not None, reason=str(cachegrind.why_unavailable())
)


@pytest.fixture(scope="module")
def counting():
    """Count under cachegrind, all runs begun together: each takes seconds of one core."""

    def ladder(size, l1, block):
        kernels = {"naive": {}, "reordered": {}, "blocked": {"block": block}}
        layouts = list(cache.layouts_of("abc", square_case(size, "float32")).values())
        return kernels, cachegrind.run_kernels(kernels, layouts, "float32", (l1, L3))

    def packed():
        layouts = list(cache.layouts_of("abc", square_case(48, "float32")).values())
        return cachegrind.run_kernels({PACKED: {}}, layouts, "float32", LEVELS)

    with ThreadPoolExecutor(2) as pool:
        begun = {PACKED: pool.submit(packed)}
        yield begun | {given: pool.submit(ladder, *given) for given in COUNTED}


@WITH_CACHEGRIND
@pytest.mark.parametrize(("size", "l1", "block"), COUNTED)
def test_the_simulation_agrees_with_cachegrind(counting, size, l1, block):
    """Line by line within 1 %, on every line of the ladder whose accesses its own instructions make.

    The blocked kernel's own block of 64 fills an L1 of 32 KiB to the brim: no room is left for the stack,
    which the source does not show. So there it has a smaller block, and the own one a larger L1.
    """
    case = square_case(size, "float32")
    kernels, counts = counting[size, l1, block].result()
    compared = []
    for kernel, numbers in kernels.items():
        found = simulate(kernel, case, (l1, L3), numbers)
        lines = lines_of(counts, found.path, range(found.first_line, found.last_line + 1))
        for line, (accesses, first, _) in found.by_line.items():
            if 4 * lines[line].accesses >= accesses:
                assert lines[line].first_misses == pytest.approx(first, rel=0.01, abs=8), (kernel, line)
                compared.append((kernel, accesses))
    # Nothing but loops that became a memset may be left out.
    assert {kernel for kernel, accesses in compared if accesses >= 2 * size**3} == set(kernels)


@WITH_CACHEGRIND
def test_the_packed_product_is_counted_too(counting):
    counts = counting[PACKED].result()
    assert sum(line.accesses for (name, _), line in counts.items() if name.endswith("microkernel.pxi")) > 1000

"""The caches of this machine and of others."""

import pytest

from profiling.model.geometry import CacheLevel, machine_levels, parse_level


def machine(folder, *indices, cpu="cpu0"):
    for number, values in enumerate(indices):
        index = folder / cpu / f"cache/index{number}"
        index.mkdir(parents=True)
        for name, value in values.items():
            (index / name).write_text(f"{value}\n", encoding="ascii")


def index(level, kind, size, ways=8, shared="0", line=64):
    return {
        "level": level,
        "type": kind,
        "size": size,
        "ways_of_associativity": ways,
        "shared_cpu_list": shared,
        "coherency_line_size": line,
    }


def test_data_and_unified_caches_of_the_first_processor_are_read_whole(tmp_path):
    machine(
        tmp_path,
        index(1, "Data", "48K", 12),
        index(1, "Instruction", "32K"),
        index(3, "Unified", "36608K", 11, "0-7"),
    )
    machine(tmp_path, index(1, "Data", "16K", 4), cpu="cpu10")
    first, last = machine_levels(tmp_path)
    assert (first.name, first.size, first.ways, first.sets, first.origin) == (
        "L1",
        48 << 10,
        12,
        64,
        "system",
    )
    assert (last.name, last.sets, last.shared_by) == ("L3", 53248, 8)


def test_unknown_ways_get_a_default_that_is_named(tmp_path):
    machine(tmp_path, index(1, "Data", "32K", 0))
    (level,) = machine_levels(tmp_path)
    assert (level.ways, level.origin) == (8, "default ways")


def test_damaged_descriptions_are_left_out(tmp_path):
    machine(tmp_path, index(1, "Data", "32K"), index(2, "Unified", "much"), index(3, "Unified", "100K", 7))
    assert [level.name for level in machine_levels(tmp_path)] == ["L1"]


def test_without_a_description_the_sizes_of_the_library_stand_in(tmp_path):
    levels = machine_levels(tmp_path)
    assert levels[0].name == "L1"
    assert all(level.origin == "default ways" for level in levels)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("48K/12/64", "48K/12/64"), ("2M/16", "2M/16/64"), ("24k", "24K/12/64"), ("768/3/64", "768/3/64")],
)
def test_an_option_is_completed_from_the_machine(text, shown):
    like = CacheLevel("L1", 48 << 10, 12, 64)
    assert parse_level("L1", text, like).text == shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not SIZE/WAYS/LINE"),
        ("big", "not SIZE/WAYS/LINE"),
        ("32K/8/64/1", "not SIZE/WAYS/LINE"),
        ("32K/x", "not SIZE/WAYS/LINE"),
        ("32K/8/48", "not a power of two"),
        ("1000/8/64", "not a whole number of sets"),
        ("32K/0/64", "not a whole number of sets"),
        ("0/8/64", "not a whole number of sets"),
        ("64G/8/64", "at most"),
    ],
)
def test_impossible_caches_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_level("L1", text)

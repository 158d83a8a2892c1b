"""The cases: the promised ones, with operands whose products are exact."""

import numpy as np
import pytest

from profiling import cases
from profiling.cases import GROUPS, SPECS, Case, groups_of, product_case, square_case, suite_groups

MATMUL_GROUPS = groups_of("matmul")
ALL = [case for group in MATMUL_GROUPS.values() for case in group.cases]


def names(group):
    return {case.name.partition(" ")[0] for case in MATMUL_GROUPS[group].cases}


def test_the_groups_hold_what_was_promised():
    squares = MATMUL_GROUPS["square"].cases
    assert {(case.shapes[0][0], case.dtype, case.layout) for case in squares} == {
        (n, dtype, layout)
        for n in (128, 256, 512, 1024, 2048)
        for dtype in ("float32", "float64")
        for layout in ("CC",)
    }
    assert {case.layout for case in MATMUL_GROUPS["transposed"].cases} == {"CF", "FC", "FF"}
    assert {min(case.shapes[0]) for case in MATMUL_GROUPS["tiny"].cases} >= {2, 24}
    assert names("layers") >= {
        "64x784x128", "64x128x10", "256x784x256", "1024x768x3072", "1x4096x4096", "8x1024x4096",
        "4096x64x64", "100000x16x16", "16x20000x16",
    }  # fmt: skip
    assert names("batches") >= {"12x(128x64x128)", "96x(64x32x64)", "1000x(8x8x8)"}
    assert names("large") == {"1024x1024x1024", "4096x4096x4096"}


def test_every_operation_has_cases_in_the_table_and_in_the_quick_suite():
    assert {case.op for group in GROUPS.values() for case in group.cases} == set(SPECS)
    quick = {case.op for group in suite_groups("quick") for case in group.cases}
    assert quick == set(SPECS)


@pytest.mark.parametrize(("suite", "names", "known"), [("quick", ["raws"], "rows"), ("slow", [], "full")])
def test_unknown_names_list_the_known_ones(suite, names, known):
    with pytest.raises(ValueError, match=rf"unknown .* known: .*{known}"):
        suite_groups(suite, names)


@pytest.mark.parametrize("group", GROUPS.values(), ids=lambda group: group.name)
def test_a_group_knows_its_cases(group):
    assert len(set(group.cases)) == len(group.cases)
    assert set(group.quick) <= set(group.cases)
    assert {case.group for case in group.cases} == {group.name}


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_sums_of_products_are_exact(case):
    depth = case.shapes[0][-1]
    assert depth * cases.LARGEST_VALUE**2 < 2 ** (np.finfo(case.dtype).nmant + 1)


@pytest.mark.parametrize("layout", ["CC", "CF", "FC", "FF"])
def test_operands_have_the_shape_and_layout_asked_for(layout):
    case = product_case(3, 5, 7, "float64", layout, batch=(2,))
    operands = case.operands(seed=3)
    for operand, shape, letter in zip(operands, case.shapes, layout, strict=True):
        assert operand.shape == shape
        assert operand.dtype == np.float64
        plain = operand if letter == "C" else np.swapaxes(operand, -1, -2)
        assert plain.flags.c_contiguous
        assert np.array_equal(operand, np.rint(operand))
        assert np.abs(operand).max() <= cases.LARGEST_VALUE
    again = case.operands(seed=3)
    assert all(np.array_equal(one, two) for one, two in zip(operands, again, strict=True))
    assert not np.array_equal(operands[0], case.operands(seed=4)[0])


def test_flops_count_the_whole_batch():
    assert cases.flops(product_case(2, 3, 5, "float32", batch=(7,))) == 2 * 2 * 3 * 5 * 7
    assert cases.result_shape(product_case(2, 3, 5, "float32", batch=(7,))) == (7, 2, 5)


@pytest.mark.parametrize(
    "case", [square_case(4, "float32", "FC"), product_case(1, 2, 3, "float64", batch=(4,))]
)
def test_a_case_survives_json(case):
    assert Case.from_dict(case.to_dict()) == case


@pytest.mark.parametrize(
    ("dtype", "layout", "message"),
    [("int8", "CC", "float32, float64"), ("float32", "CX", "C, F or S"), ("float32", "C", "C, F or S")],
)
def test_a_wrong_case_is_refused(dtype, layout, message):
    with pytest.raises(ValueError, match=message):
        Case("matmul", dtype, ((2, 2), (2, 2)), layout)

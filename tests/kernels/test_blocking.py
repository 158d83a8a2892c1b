"""Block sizes fit the tile and stay bounded, whatever caches a machine claims to have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorops.kernels.gemm import family
from tensorops.kernels.gemm.batched import matmul_into
from tensorops.kernels.gemm.blocking import block_sizes
from tensorops.kernels.table import ITEMSIZE, KERNELS, KernelRow
from tests.kernels.operands import DTYPES, small_blocks, whole_numbers
from tests.kernels.oracles import wrong_numbers

LARGEST_PANEL = 4 << 20


@given(
    row=st.sampled_from(KERNELS),
    l1=st.integers(0, 1 << 20),
    l2=st.integers(0, 1 << 30) | st.sampled_from([0, 1 << 18, 1 << 40]),
)
def test_blocks_are_whole_tiles_and_bounded(row: KernelRow, l1: int, l2: int) -> None:
    itemsize = ITEMSIZE[row.dtype]
    sizes = block_sizes(row.mr, row.nr, itemsize, l1, l2)
    assert sizes.mc > 0
    assert sizes.mc % row.mr == 0
    assert sizes.nc > 0
    assert sizes.nc % row.nr == 0
    assert sizes.kc > 0
    assert sizes.kc * sizes.nc * itemsize <= LARGEST_PANEL
    assert sizes.mc * sizes.kc * itemsize <= LARGEST_PANEL


@pytest.mark.parametrize("dtype", DTYPES)
def test_blocks_in_use_are_whole_tiles(dtype: str) -> None:
    mr, nr = family.tile_shape(dtype)
    mc, kc, nc = family.block_sizes_in_use(dtype)
    assert mc % mr == 0
    assert nc % nr == 0
    assert kc >= 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_sizes_that_are_no_whole_tiles_are_refused(dtype: str) -> None:
    before = family.block_sizes_in_use(dtype)
    mr, nr = family.tile_shape(dtype)
    for sizes in [
        (mr + 1, 8, nr),
        (mr, 8, nr - 1),
        (0, 8, nr),
        (mr, 0, nr),
        (mr, 8, 0),
        (-mr, 8, nr),
        (mr, -1, nr),
    ]:
        with pytest.raises(ValueError, match=f"MC a multiple of {mr} and NC of {nr}"):
            family.set_block_sizes(dtype, *sizes)
    assert family.block_sizes_in_use(dtype) == before


@pytest.mark.parametrize("function", ["kernel_name", "tile_shape", "block_sizes_in_use"])
def test_dtypes_without_kernels_are_refused(function: str) -> None:
    with pytest.raises(TypeError, match="float32 and float64, not for 'int32'"):
        getattr(family, function)("int32")


def test_block_sizes_are_those_of_one_dtype_and_come_back() -> None:
    before = {dtype: family.block_sizes_in_use(dtype) for dtype in DTYPES}
    mr, nr = family.tile_shape("float32")
    with small_blocks("float32", kc=3):
        assert family.block_sizes_in_use("float32") == (2 * mr, 3, 2 * nr)
        assert family.block_sizes_in_use("float64") == before["float64"]
    assert {dtype: family.block_sizes_in_use(dtype) for dtype in DTYPES} == before


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kc", [1, 2, 3, 8, 1000])
def test_any_depth_of_blocks(dtype: str, kc: int, rng: np.random.Generator) -> None:
    a, b = whole_numbers(rng, (31, 25), dtype), whole_numbers(rng, (25, 70), dtype)
    for pack in ("auto", "never", "always"):
        out = np.full((31, 70), np.nan, dtype)
        with small_blocks(dtype, kc):
            matmul_into(a, b, out, pack, 1)
        assert wrong_numbers(out, a, b) is None

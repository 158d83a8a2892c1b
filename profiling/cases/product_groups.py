"""Matrix products to measure on, group by group."""

from __future__ import annotations

from .case import DTYPES, Case, product_case, square_case
from .group import Group, make_group

TRANSPOSED = ("CF", "FC", "FF")
SQUARE_SIZES = (128, 256, 512, 1024, 2048)
TINY_SIZES = (2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24)
# Rows of a batch, inputs and outputs of layers: classifiers, transformers, and single samples.
LAYER_SHAPES = (
    (64, 784, 128),
    (64, 128, 10),
    (256, 784, 256),
    (1024, 768, 3072),
    (1, 4096, 4096),
    (8, 1024, 4096),
    (4096, 64, 64),
    (100_000, 16, 16),
    (16, 20_000, 16),
    (196, 768, 768),
    (128, 768, 3072),
    (512, 512, 2048),
    (32, 2048, 1000),
)
# How many matrices, and their sizes; the last two are those of attention.
BATCHES = (
    (12, (128, 64, 128)),
    (96, (64, 32, 64)),
    (1000, (8, 8, 8)),
    (8, (512, 64, 512)),
    (8, (512, 512, 64)),
)
# Shapes of the two operands: a matrix and a column, a row and a matrix, two vectors.
VECTORS = (
    ((256, 256), (256,)),
    ((1024, 1024), (1024,)),
    ((4096, 4096), (4096,)),
    ((256,), (256, 256)),
    ((1024,), (1024, 1024)),
    ((4096,), (4096, 4096)),
    ((1000,), (1000,)),
    ((100_000,), (100_000,)),
    ((1024, 1024), (1024, 1)),
    ((1, 1024), (1024, 1024)),
)
SKINNY = (
    (100_000, 32, 8),
    (10_000, 4, 4),
    (4096, 64, 16),
    (16, 4096, 16),
    (64, 50_000, 64),
    (4096, 4, 4096),
    (2048, 16, 2048),
    (8, 8, 100_000),
)
ODD = ((31, 67, 129), (97, 101, 103), (127, 127, 127), (257, 257, 257), (509, 509, 509), (1021, 1021, 1021))
STRIDED = ("SC", "CS", "SS")


def _vectors(dtype: str) -> list[Case]:
    return [Case("matmul", dtype, shapes) for shapes in VECTORS]


PRODUCT_GROUPS: tuple[Group, ...] = (
    make_group(
        "square",
        "square",
        (1.0, 0.9),
        (square_case(n, dtype) for dtype in DTYPES for n in SQUARE_SIZES),
        (square_case(n, dtype) for dtype in DTYPES for n in (128, 512, 1024)),
    ),
    make_group(
        "transposed",
        "square, operands transposed",
        (1.05, 0.9),
        (square_case(n, dtype, layout) for dtype in DTYPES for n in SQUARE_SIZES for layout in TRANSPOSED),
        (square_case(n, "float32", "FF") for n in (128, 512)),
    ),
    make_group(
        "tiny",
        "2x2 to 24x24 with out=",
        (4.0, 2.0),
        (square_case(n, dtype) for dtype in DTYPES for n in TINY_SIZES),
        (square_case(n, dtype) for dtype in DTYPES for n in (2, 4, 8, 16, 24)),
    ),
    make_group(
        "layers",
        "shapes of layers",
        (1.05, 0.9),
        (product_case(*sizes, dtype) for dtype in DTYPES for sizes in LAYER_SHAPES),
        (product_case(*sizes, "float32") for sizes in LAYER_SHAPES[:9]),
    ),
    make_group(
        "batches",
        "batched products",
        (1.05, 0.9),
        (product_case(*sizes, dtype, batch=(count,)) for dtype in DTYPES for count, sizes in BATCHES),
        (product_case(*sizes, "float32", batch=(count,)) for count, sizes in BATCHES[:3]),
    ),
    make_group(
        "vectors",
        "matrices and vectors",
        (1.0, 0.9),
        (case for dtype in DTYPES for case in _vectors(dtype)),
        (_vectors("float32")[place] for place in (1, 4, 7)),
    ),
    make_group(
        "skinny",
        "tall and flat",
        (1.0, 0.9),
        (product_case(*sizes, dtype) for dtype in DTYPES for sizes in SKINNY),
        (product_case(*sizes, "float32") for sizes in SKINNY[1:4]),
    ),
    make_group(
        "odd",
        "odd and prime sizes",
        (1.0, 0.9),
        (product_case(*sizes, dtype) for dtype in DTYPES for sizes in ODD),
        (product_case(*sizes, "float32") for sizes in ODD[:4]),
    ),
    make_group(
        "strided",
        "every other column of wider matrices",
        (1.0, 0.9),
        (
            case
            for dtype in DTYPES
            for layout in STRIDED
            for case in (square_case(512, dtype, layout), product_case(64, 784, 128, dtype, layout))
        ),
        [square_case(512, "float32", "SS"), product_case(64, 784, 128, "float32", "SC")],
    ),
    make_group(
        "large",
        "4096 beside 1024",
        (0.0, 0.0),
        (square_case(n, dtype) for dtype in DTYPES for n in (1024, 4096)),
        (square_case(n, "float32") for n in (1024, 4096)),
    ),
)

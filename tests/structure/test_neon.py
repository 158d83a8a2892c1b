"""The NEON kernels, cross-compiled and run under an emulator against the definitions.

No Python runs there: what Cython makes of a row's source is compiled into a C program that calls the row's
functions. ``.ci/neon`` runs the kernels' own tests in that way, with an interpreter, in minutes.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tensorops.elementwise_table import APPROXIMATE, ELEMENTWISE, FORMULAS, Elementwise
from tensorops.kernels.table import KernelRow, family_rows
from tensorops.operations import OPERATIONS
from tests.structure.compiled import ROOT

pytest.importorskip("Cython", reason="Cython is not installed")
COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
for program in (COMPILER, EMULATOR):
    if shutil.which(program) is None:
        pytest.skip(f"no {program}: Debian's gcc-aarch64-linux-gnu and qemu-user", allow_module_level=True)

Array = NDArray[Any]
KINDS = {"products": "PRODUCTS", "elementwise": "SWEEPS", "optim": "SWEEPS", "rows": "ROWS"}
ROWS = [row for family in KINDS for row in family_rows(family, "aarch64") if row.isa == "neon"]
EACH_DTYPE = pytest.mark.parametrize("dtype", ["float32", "float64"])
EPILOGUES = ("", "relu", "gelu", "gelu_tanh", "gelu_sigmoid", "silu", "sigmoid", "tanh")
NUMBERS = {"alpha": 0.75, "low": -0.5, "high": 1.25, "slope": 0.125}
LENGTH = 1027


class Emulated:
    """The programs, by the names of their rows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, family: str, dtype: str, sizes: tuple[int, ...], *given: Array) -> Array:
        """Return what a program makes of some arrays, in one dimension."""
        (row,) = (row for row in ROWS if row.source == _source(family) and row.dtype == dtype)
        (self.folder / "in").write_bytes(b"".join(array.tobytes() for array in given))
        program, files = self.folder / row.name, [self.folder / "in", self.folder / "out"]
        subprocess.run([EMULATOR, program, *files, *map(str, sizes)], check=True, capture_output=True)
        return np.fromfile(self.folder / "out", dtype)


def _source(family: str) -> str:
    return family_rows(family, "aarch64")[0].source


def _setup() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tensorops_setup", ROOT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Emulated:
    """Translate each family once and compile it for both dtypes, with the flags that the build gives."""
    folder = tmp_path_factory.mktemp("neon")
    setup = _setup()
    translated = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        # The C is the same for both dtypes.
        for row in ROWS[::2]:
            (module,) = setup.translate([setup.Extension(row.module, [row.source])], folder)
            translated[row.source] = ROOT / module.sources[0]

    def compile_one(row: KernelRow) -> None:
        source = translated[row.source]
        text = source.read_text(encoding="utf-8")
        filled = re.findall(r"^\s*(\(?(__pyx_v_\w+_table)\.[^=;\n]+= [^;\n]+;)", text, re.MULTILINE)
        fill = folder / f"{row.name}.h"
        fill.write_text("\n".join(line for line, _ in filled), encoding="utf-8")
        (lines,) = set(re.findall(r"struct \w+_Lines\b", text)) or {"int"}
        tried = re.findall(r"\b__pyx_e_\w+?kernels_(?:SOFTMAX|LOG_SOFTMAX|NORM)\b", text)
        macros = {
            **dict(setup.row_macros(row)),
            KINDS[next(family for family in KINDS if _source(family) == row.source)]: "1",
            "MODULE": f'"{source}"',
            "FILL": f'"{fill}"',
            "TABLE": filled[0][1],
            "LINES": lines,
            "KINDS_TRIED": ", ".join(sorted(set(tried))),
        }
        command = [COMPILER, "-static", "-O3", *setup.COMMON_FLAGS, *row.cflags]
        # Without an interpreter: what needs one is not reached from main, and left out by the linker.
        command += ["-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"]
        command += [f"-D{name}={value}" for name, value in macros.items()]
        command += [f"-I{sysconfig.get_path('include')}", f"-I{np.get_include()}"]
        command += [str(ROOT / "tests/structure/neon.c"), "-lm", "-o", str(folder / row.name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compile_one, ROWS))
    return Emulated(folder)


def close(found: Array, expected: Any, bound: Any) -> None:
    """Fail where an element is farther from the definition than its bound."""
    with np.errstate(all="ignore"):
        wrong = np.abs(found.astype(np.float64) - expected) > bound
    assert not wrong.any(), (found[wrong][:3], np.asarray(expected)[wrong][:3])


@EACH_DTYPE
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 17, 5), (13, 33, 300), (25, 50, 64)])
def test_products_and_epilogues(emulated: Emulated, dtype: str, shape: tuple[int, int, int]) -> None:
    m, n, k = shape
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-4, 5, size).astype(dtype) for size in ((m, k), (k, n)))
    bias = rng.integers(-4, 5, n).astype(dtype)
    products, finished = np.split(emulated.run("products", dtype, shape, a, b, bias).reshape(-1, m, n), [4])
    # Every partial sum is exact.
    for product in products:
        np.testing.assert_array_equal(product, a @ b)
    eps = float(np.finfo(dtype).eps)
    assert len(finished) == len(EPILOGUES)
    for name, found in zip(EPILOGUES, finished, strict=True):
        before = a @ b + bias
        if not name:
            np.testing.assert_array_equal(found, before)
            continue
        operation, _, kind = name.partition("_")
        spec, more = OPERATIONS[operation], {"approximate": kind or "none"} if operation == "gelu" else {}
        expected = spec.reference(before, **more)
        bound = next(item.bound for item in ELEMENTWISE if item.name == operation)
        close(found, expected, 3 * bound(eps, expected, before, **more))


@EACH_DTYPE
def test_elementwise_formulas(emulated: Emulated, dtype: str) -> None:
    rng = np.random.default_rng(1)
    given, wanted = [], []
    for formula in FORMULAS:
        item, kind = _item_of(formula)
        operands = [rng.normal(0, 3, LENGTH).astype(dtype) for _ in item.operands]
        params: dict[str, Any] = {name: NUMBERS[name] for name in item.parameters}
        numbers = np.zeros(8)
        numbers[: len(params)] = list(params.values())
        given += [*operands, *[np.zeros(LENGTH, dtype)] * (4 - len(operands)), numbers]
        params |= {"approximate": kind} if item.approximate else {}
        spec = OPERATIONS[item.name + item.forms[-1]]
        wanted.append((spec.reference(*operands, **params), spec.error_bound(*operands, **params)))
    found = emulated.run("elementwise", dtype, (LENGTH,), *given).reshape(len(FORMULAS), 3, LENGTH)
    for (_, _, result), (expected, bound) in zip(found, wanted, strict=True):
        # The definition itself is rounded, and in float64 its argument too.
        close(result, expected, 3 * bound)


def _item_of(formula: str) -> tuple[Elementwise, str]:
    return next(
        (item, kind)
        for item in ELEMENTWISE
        for kind in (APPROXIMATE if item.approximate else ("",))
        if item.formula(kind) == formula
    )


@EACH_DTYPE
def test_steps_of_optimizers(emulated: Emulated, dtype: str) -> None:
    sgd, adam = OPERATIONS["sgd_step_"], OPERATIONS["adam_step_"]
    rng = np.random.default_rng(2)
    assert sgd.operands is not None
    assert adam.operands is not None
    p, g, velocity = sgd.operands([(LENGTH,)] * 3, dtype, rng)
    q, h, first, second = adam.operands([(LENGTH,)] * 4, dtype, rng)
    nothing = np.zeros(LENGTH, dtype)
    numbers = np.array([0.1, 0.9, 0.3, 1, 0, 0, 0, 0])
    step, lr, beta1, beta2, eps, decay = 3, 0.01, 0.8, 0.99, 1e-6, 0.2
    rate, root = lr / (1 - beta1**step), (1 - beta2**step) ** -0.5
    corrected = np.array([rate, 1 - beta1, beta2, 1 - beta2, root, eps, decay, 1])
    found = emulated.run(
        "optim", dtype, (LENGTH,), g, velocity, nothing, p, numbers, h, first, second, q, corrected
    ).reshape(2, 3, LENGTH)
    params = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.3, "nesterov": True}
    cases = (
        (sgd, (p, g, velocity), params, {0: found[0, 2], 2: found[0, 0]}),
        (
            adam,
            (q, h, first, second),
            {"step": step, "lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": decay},
            {0: found[1, 2], 2: found[1, 0], 3: found[1, 1]},
        ),
    )
    for spec, operands, named, results in cases:
        expected, bounds = spec.reference(*operands, **named), spec.error_bound(*operands, **named)
        for place, right, bound in zip(spec.changed, expected, bounds, strict=True):
            close(results[place], right, bound)


@EACH_DTYPE
def test_rows(emulated: Emulated, dtype: str) -> None:
    rng = np.random.default_rng(3)
    shape = (5, 77)
    x = rng.normal(0, 3, shape).astype(dtype)
    weight, bias = (rng.normal(1, 1, shape[1]).astype(dtype) for _ in range(2))
    found = emulated.run("rows", dtype, shape, x, weight, bias).reshape(3, *shape)
    # In the order of the names in the C.
    for result, name, operands in zip(
        found,
        ("log_softmax", "layer_norm", "softmax"),
        ((x,), (x, weight, bias), (x,)),
        strict=True,
    ):
        spec = OPERATIONS[name]
        close(result, spec.reference(*operands), spec.error_bound(*operands))


def test_a_wrong_element_is_found() -> None:
    with pytest.raises(AssertionError):
        close(np.array([1.0, 2.5]), np.array([1.0, 2.0]), np.array([0.1, 0.1]))

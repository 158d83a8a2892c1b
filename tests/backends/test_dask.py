"""dask arrays: lazy, equal to the results in memory, never turned into an ndarray."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorops
from tensorops.backends import Call, dask_backend, get_backend, loaded_backends, owners, usable_paths
from tensorops.elementwise_table import ELEMENTWISE
from tensorops.operations import OPERATIONS
from tensorops.runtime import openmp

da = pytest.importorskip("dask.array", reason="dask is not installed")

ROOT = Path(__file__).resolve().parents[2]
Array = np.ndarray[Any, Any]

PRODUCTS: list[tuple[Any, Any, Any, Any]] = [
    ((40, 50), (50, 60), (7, 9), (20, 11)),
    ((40, 50), (50, 60), (40, 50), (50, 60)),
    ((40, 50), (50, 60), (7, 50), (50, 11)),
    ((50,), (50, 60), (9,), (20, 11)),
    ((40, 50), (50,), (7, 9), (20,)),
    ((50,), (50,), (9,), (20,)),
    ((3, 4, 5), (5, 6), (2, 2, 2), (3, 3)),
    ((4, 5), (3, 5, 6), (2, 2), (1, 3, 3)),
    ((2, 1, 4, 5), (3, 5, 6), (1, 1, 3, 2), (2, 3, 3)),
    ((4, 0), (0, 6), (2, 1), (3, 3)),
    ((0, 4), (4, 3), (2, 2), (3, 3)),
]


def whole_numbers(shape: Sequence[int], dtype: str = "float32") -> Array:
    return np.random.default_rng(5).integers(-4, 5, size=shape).astype(dtype)


@pytest.fixture(autouse=True)
def no_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a dask array is turned into an ndarray; ``compute`` does not go this way."""

    def refuse(self: Any, *_: Any, **__: Any) -> Any:
        raise AssertionError("a dask array was converted to an ndarray")

    monkeypatch.setattr(da.Array, "__array__", refuse)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Count the parts that each backend's object computes."""
    counts: Counter[str] = Counter()
    for backend in loaded_backends():
        kind = type(backend)

        def run(self: Any, *arguments: Any, original: Any = kind.run, **params: Any) -> Any:
            counts[self.name] += 1
            return original(self, *arguments, **params)

        if "run" in vars(kind):
            monkeypatch.setattr(kind, "run", run)
    yield counts


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "complex64"])
@pytest.mark.parametrize(("shape_a", "shape_b", "chunks_a", "chunks_b"), PRODUCTS)
def test_products_are_those_in_memory(
    shape_a: Any, shape_b: Any, chunks_a: Any, chunks_b: Any, dtype: str
) -> None:
    a, b = whole_numbers(shape_a, dtype), whole_numbers(shape_b, dtype)
    lazy_a, lazy_b = da.from_array(a, chunks=chunks_a), da.from_array(b, chunks=chunks_b)
    expected = np.matmul(a, b)
    for left, right in ((lazy_a, lazy_b), (a, lazy_b), (lazy_a, b)):
        result = tensorops.matmul(left, right)
        assert type(result) is da.Array
        assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
        assert np.array_equal(result.compute(), expected)


def test_random_numbers_keep_the_bound() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((90, 90)).astype(np.float32) for _ in range(2))
    out = tensorops.matmul(da.from_array(a, chunks=(40, 7)), da.from_array(b, chunks=(20, 50))).compute()
    spec = OPERATIONS["matmul"]
    assert np.all(np.abs(out - spec.reference(a, b)) <= spec.error_bound(a, b))


def test_nothing_is_computed_before_it_is_asked_for(parts: Counter[str]) -> None:
    a, b = whole_numbers((40, 50)), whole_numbers((50, 30))
    lazy = tensorops.matmul(da.from_array(a, chunks=20), da.from_array(b, chunks=25), backend="naive")
    assert parts == {}
    assert np.array_equal(lazy.compute(), a @ b)
    # 2 rows of parts, 2 columns, and 3 terms each: the smaller operand was cut as the larger one is.
    assert parts == {"naive": 12}


def test_the_backend_in_use_computes_the_parts(parts: Counter[str]) -> None:
    x = da.from_array(whole_numbers((30, 30)), chunks=15)
    with tensorops.use_backend("naive"):
        lazy = tensorops.matmul(x, x)
    assert np.array_equal(lazy.compute(), whole_numbers((30, 30)) @ whole_numbers((30, 30)))
    assert parts == {"naive": 8}


@pytest.mark.parametrize("variable", ["dask", "naive"])
def test_the_environment_s_backend_computes_the_parts(
    variable: str, parts: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorops.dispatch import selection

    x = da.from_array(whole_numbers((30, 30)), chunks=15)
    monkeypatch.setenv("TENSOROPS_BACKEND", variable)
    selection.reload_profile()
    try:
        for scheduler in ("synchronous", "threads"):
            result = tensorops.matmul(x, x).compute(scheduler=scheduler)
            assert np.array_equal(result, whole_numbers((30, 30)) @ whole_numbers((30, 30)))
    finally:
        monkeypatch.undo()
        selection.reload_profile()
    assert set(parts) <= {variable} - {"dask"}


def test_by_name_it_computes_arrays_in_memory(parts: Counter[str]) -> None:
    a, b = whole_numbers((2, 40, 50)), whole_numbers((50, 30))
    out = np.empty((2, 40, 30), np.float32)
    assert tensorops.matmul(a, b, out=out, backend="dask") is out
    assert np.array_equal(out, a @ b)
    with tensorops.use_backend("dask"):
        assert np.array_equal(tensorops.matmul(a, b), a @ b)
    assert parts == {"dask": 2}
    assert usable_paths(Call("matmul", "float32", ((2, 2), (2, 2))))[1]["dask"] == (
        "it computes dask arrays, and what asks for it by name"
    )


def test_an_output_is_refused() -> None:
    x = da.ones((4, 4), chunks=2)
    for call in (
        lambda: tensorops.matmul(x, x, out=np.empty((4, 4))),
        lambda: tensorops.matmul(x, x, out=x),
        lambda: tensorops.matmul(np.eye(4), np.eye(4), out=x),
    ):
        with pytest.raises(TypeError, match="out= is not possible with dask arrays"):
            call()


def test_errors_come_when_the_product_is_put_together() -> None:
    x = da.ones((4, 6), chunks=2)
    with pytest.raises(ValueError, match=r"\(4, 6\) and \(4, 6\) do not fit"):
        tensorops.matmul(x, x)
    with pytest.raises(ValueError, match="leading dimensions"):
        tensorops.matmul(da.ones((2, 3, 3)), da.ones((3, 3, 3)))
    with pytest.raises(ValueError, match="unknown backend 'nowhere'"):
        tensorops.matmul(x, x.T, backend="nowhere")
    unknown = x[x[:, 0] > 0]
    with pytest.raises(ValueError, match=r"\(6, nan\) and \(nan, 6\).*compute_chunk_sizes"):
        tensorops.matmul(unknown.T, unknown)
    assert tensorops.matmul(unknown, x.T).compute().shape == (4, 4)


def test_explain_tells_of_a_part() -> None:
    a, b = da.ones((4000, 300), chunks=(1000, 100)), da.ones((300, 200), chunks=(50, 200))
    found = tensorops.explain("matmul", a, b)
    assert found.call.shapes == ((1000, 100), (100, 200))
    assert found.call.dtype == "float64"
    assert "dask computes 4000x300 @ 300x200 part by part; of a part of 1000x100 @ 100x200" in str(
        " ".join(str(found).split())
    )
    mixed = tensorops.explain("gelu", da.ones((40, 30), dtype=np.float32, chunks=20), approximate="tanh")
    assert (mixed.call.shapes, mixed.call.dtype) == (((20, 20),), "float32")
    with pytest.raises(ValueError, match="do not fit"):
        tensorops.explain("matmul", a, a)


def test_parts_that_are_no_plain_arrays_go_to_numpy_s_rules() -> None:
    masked = np.ma.masked_array(np.eye(4), mask=np.eye(4))
    result = tensorops.matmul(da.from_array(masked, chunks=2), da.ones((4, 4), chunks=2))
    assert type(result) is da.Array
    assert isinstance(result.compute(), np.ma.MaskedArray)


def test_operands_of_a_sum_are_not_changed() -> None:
    terms = [np.ones((2, 1, 2)) * number for number in range(4)]
    total = dask_backend._sum([[terms[0], terms[1]], [terms[2], terms[3]]], axis=(1,), keepdims=True)
    assert np.array_equal(total, np.full((2, 1, 2), 6.0))
    assert [float(term[0, 0, 0]) for term in terms] == [0, 1, 2, 3]
    assert dask_backend._sum([terms[1]], axis=(1,), keepdims=False).shape == (2, 2)


def test_a_part_of_another_thread_is_computed_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[bool, int] = {}

    def probe(x: Array) -> Array:
        seen[threading.current_thread() is threading.main_thread()] = openmp.get_num_threads()
        return x

    before = tensorops.get_num_threads()
    monkeypatch.setattr(tensorops, "probe", probe, raising=False)
    tensorops.set_num_threads(3)
    try:
        dask_backend.compute_part("probe", {}, None, np.eye(2))
        thread = threading.Thread(target=dask_backend.compute_part, args=("probe", {}, None, np.eye(2)))
        thread.start()
        thread.join()
        assert seen == {True: 3 if openmp.enabled() else 1, False: 1}
        assert openmp.limit_this_thread(-1) == 0
    finally:
        tensorops.set_num_threads(before)


def test_a_task_can_be_sent_away() -> None:
    x = da.from_array(whole_numbers((8, 8)), chunks=4)
    again = pickle.loads(pickle.dumps(tensorops.matmul(x, x)))
    assert np.array_equal(again.compute(), whole_numbers((8, 8)) @ whole_numbers((8, 8)))


def test_the_same_product_has_the_same_name() -> None:
    x = da.from_array(whole_numbers((8, 8)), chunks=4)
    assert tensorops.matmul(x, x).name == tensorops.matmul(x, x).name
    assert tensorops.matmul(x, x).name != tensorops.matmul(x, x, backend="numpy").name


def test_it_is_imported_by_nobody_but_its_user() -> None:
    code = (
        "import sys, numpy as np, tensorops\n"
        "tensorops.backends(); tensorops.matmul([[1.0]], np.eye(1))\n"
        "tensorops.explain('matmul', (2, 2), (2, 2))\n"
        "assert not [name for name in sys.modules if name.split('.')[0] in ('dask', 'distributed')]\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=ROOT)


def test_without_dask_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_backend, "_installed", lambda: False)
    assert tensorops.backends()["dask"] == "dask is not installed: python -m pip install 'dask[array]'"


def test_what_belongs_to_no_backend() -> None:
    assert owners.owner_of([np.eye(2), [1.0], None, object()]) is None
    assert owners.owner_of([None, da.ones(3)]) is get_backend("dask")
    with pytest.raises(NotImplementedError, match="'numpy' has no arrays of its own"):
        get_backend("numpy").apply("matmul", [], {}, None)


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes an operation of a NumPy function."""

    def add(name: str, cost_class: str, function: Any, **more: Any) -> None:
        spec = dataclasses.replace(OPERATIONS["matmul"], name=name, cost_class=cost_class, **more)
        monkeypatch.setitem(OPERATIONS, name, spec)
        monkeypatch.setattr(tensorops, name, function, raising=False)

    return add


def apply(op: str, *operands: Any, **params: Any) -> Any:
    return owners.apply_by_owner(op, operands, params, None, None)


@pytest.mark.parametrize(
    ("shapes", "chunks"),
    [
        (((7, 9), (7, 9)), ((3, 4), (2, 5))),
        (((7, 9), (9,)), ((3, 4), (5,))),
        (((7, 1), (1, 9)), ((3, 1), (1, 2))),
        (((5, 7, 9), (7, 1)), ((2, 3, 4), (7, 1))),
        (((0, 3), (3,)), ((1, 2), (3,))),
    ],
)
def test_elementwise_operations(shapes: Any, chunks: Any, register: Any) -> None:
    register("probe", "elementwise", lambda x, y, scale: np.subtract(x, y) * scale)
    x, y = (whole_numbers(shape) for shape in shapes)
    expected = (x - y) * np.float32(3)
    lazy = [da.from_array(z, chunks=cut) for z, cut in zip((x, y), chunks, strict=True)]
    for operands in (lazy, (lazy[0], y), (x, lazy[1])):
        result = apply("probe", *operands, scale=np.float32(3))
        assert type(result) is da.Array
        assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
        assert np.array_equal(result.compute(), expected)
    with pytest.raises(ValueError, match=r"probe: operands of shapes \(4,\), \(5,\) do not broadcast"):
        apply("probe", da.ones(4), da.ones(5), scale=1.0)


UNARY = [item.name for item in ELEMENTWISE if "" in item.forms and len(item.operands) == 1]


@pytest.mark.parametrize("name", UNARY)
def test_public_elementwise_functions_take_dask_arrays(name: str) -> None:
    x = np.linspace(-3, 3, 77, dtype=np.float32).reshape(7, 11)
    numbers = {"low": -0.5, "high": 1.25} if name == "clip" else {}
    function = getattr(tensorops, name)
    result = function(da.from_array(x, chunks=(3, 5)), *numbers.values())
    assert isinstance(result, da.Array)
    assert np.array_equal(result.compute(), function(x, *numbers.values()))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_rows_are_not_cut(axis: int, register: Any) -> None:
    register("probe", "rows", lambda x, axis: x - x.max(axis=axis, keepdims=True))
    x = whole_numbers((8, 10))
    result = apply("probe", da.from_array(x, chunks=(3, 4)), axis=axis)
    assert result.numblocks[axis] == 1
    assert result.npartitions > 1
    assert np.array_equal(result.compute(), x - x.max(axis=axis, keepdims=True))
    with pytest.raises(ValueError, match="axis 2 does not exist"):
        apply("probe", da.from_array(x), axis=2)


def test_rows_with_a_value_for_each_column(register: Any) -> None:
    register("probe", "rows", lambda x, weight: x.sum(axis=-1, keepdims=True) * weight)
    x, weight = whole_numbers((4, 6, 10)), whole_numbers((10,))
    expected = x.sum(axis=-1, keepdims=True) * weight
    for second in (weight, da.from_array(weight, chunks=3)):
        assert np.array_equal(apply("probe", da.from_array(x, chunks=4), second).compute(), expected)
    with pytest.raises(ValueError, match=r"\(4, 6, 10\) and \(9,\) do not fit"):
        apply("probe", da.from_array(x, chunks=4), np.ones(9))


def test_what_changes_its_operand_or_has_no_parts_is_refused(register: Any) -> None:
    register("probe_", "elementwise", None, changed=(0,))
    register("probe", "optimizer", None)
    with pytest.raises(TypeError, match="probe_ changes its first operand"):
        apply("probe_", da.ones(3))
    with pytest.raises(NotImplementedError, match="probe cannot be computed on dask arrays"):
        apply("probe", da.ones(3))


def test_what_it_does_not_have() -> None:
    assert get_backend("dask").supports(Call("exq", "float32", ((2,),))) == "it has no exq"
    assert get_backend("dask").supports(Call("matmul", "int8", ((2, 2), (2, 2)))) == (
        "dtype int8 is not float32 or float64"
    )


MEMORY = """
import resource, sys
import numpy as np, dask, dask.array as da, tensorops

def peak():
    lines = open("/proc/self/status", encoding="ascii").read().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

def operand():
    rng = da.random.default_rng(3)
    return rng.integers(-2, 3, size=(200_000, 256), chunks=(5_000, 256)).astype(np.float32)

def value(product):
    return (product if which == "contracted" else product.sum(axis=0)).compute(num_workers=2)

which = sys.argv[1]
small = np.eye(256, 32, dtype=np.float32)
x = operand()
warm = x[:5_000]
value(tensorops.matmul(warm.T, warm) if which == "contracted" else tensorops.matmul(warm, small))
before = peak()
result = value(tensorops.matmul(x.T, x) if which == "contracted" else tensorops.matmul(x, small))
grown = peak() - before
expected = value(da.matmul(x.T, x) if which == "contracted" else da.matmul(x, small))
assert np.array_equal(result, expected)
assert x.nbytes > 190 << 20 and grown < x.nbytes // 2, (x.nbytes, grown)
print(x.nbytes >> 20, grown >> 20)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
@pytest.mark.parametrize("which", ["contracted", "kept"])
def test_a_product_larger_than_its_memory_streams(which: str) -> None:
    completed = subprocess.run(
        [sys.executable, "-c", MEMORY, which], capture_output=True, text=True, cwd=ROOT, timeout=240
    )
    assert completed.returncode == 0, completed.stderr


CLUSTER = """
import os, signal, time
import numpy as np, dask.array as da, tensorops
from distributed import Client, LocalCluster

def slowly(block):
    time.sleep(0.05)
    return block

if __name__ == "__main__":
    a, b = (np.random.default_rng(n).integers(-4, 5, size=(120, 120)).astype(np.float32) for n in (1, 2))
    cluster = LocalCluster(n_workers=2, processes=True, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        pids = list(client.run(os.getpid).values())
        assert len(set(pids)) == 2 and os.getpid() not in pids
        lazy_a, lazy_b = (da.from_array(x, chunks=20).map_blocks(slowly, dtype=x.dtype) for x in (a, b))
        future = client.compute(tensorops.matmul(lazy_a, lazy_b))
        computed = lambda: sum(len(keys) for keys in client.has_what().values())
        while computed() < 12 and not future.done():
            time.sleep(0.01)
        assert not future.done()
        os.kill(pids[0], signal.SIGKILL)
        assert not future.done()
        assert np.array_equal(future.result(timeout=120), a @ b)
        assert pids[0] not in client.run(os.getpid).values()
    print("right")
"""


def test_a_cluster_of_two_processes_survives_the_loss_of_one(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER, encoding="utf-8")
    completed = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, timeout=240
    )
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.splitlines()[-1] == "right"

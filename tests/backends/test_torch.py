"""The PyTorch backends: no copy where none is needed, no setting changed, nothing imported unasked."""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorops
from tensorops.backends import (
    Call,
    get_backend,
    register_backend,
    torch_backend,
    unregister_backend,
    usable_paths,
)
from tensorops.backends.torch_backend import FUNCTIONS, TorchBackend, TorchCudaBackend
from tensorops.operations import OPERATIONS

torch = pytest.importorskip("torch", reason="torch is not installed")

ROOT = Path(__file__).resolve().parents[2]
CALL = Call("matmul", "float32", ((4, 5), (5, 6)))
Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """Check after every test that PyTorch is as it was before."""
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    yield
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == before


def within_bound(out: Array, a: Array, b: Array) -> bool:
    spec = OPERATIONS["matmul"]
    return bool(np.all(np.abs(out - spec.reference(a, b)) <= spec.error_bound(a, b)))


def run(code: str) -> str:
    completed = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def test_it_is_imported_by_the_first_call_that_asks_for_it_and_not_before() -> None:
    run(
        "import sys, numpy as np, tensorops\n"
        "from tensorops.backends import Call, usable_paths\n"
        "x = np.eye(3)\n"
        "assert tensorops.backends()['torch'] is None\n"
        "tensorops.show_config('dict'); tensorops.matmul(x, x)\n"
        "reason = usable_paths(Call('matmul', 'float64', ((3, 3), (3, 3))))[1]['torch']\n"
        "assert reason == \"torch is not imported in this process: import it, or ask for backend='torch'\"\n"
        "assert 'torch' not in sys.modules\n"
        "with tensorops.use_backend('torch'):\n"
        "    assert 'torch' not in sys.modules\n"
        "    assert (tensorops.matmul(x, x) == x).all()\n"
        "assert 'torch' in sys.modules\n"
    )


def test_it_takes_part_in_the_automatic_choice_once_it_is_imported() -> None:
    usable, _ = usable_paths(CALL)
    assert "torch" in usable
    assert get_backend("torch").automatic() is None


def test_its_operations_are_the_registry_s() -> None:
    supported = {op for op in OPERATIONS if get_backend("torch").supports(Call(op, "float32", ())) is None}
    assert "matmul" in supported
    assert {op.removesuffix("_") for op in supported} <= set(FUNCTIONS)
    assert get_backend("torch").supports(Call("exq", "float32", ((2,),))) == "it has no exq"
    assert get_backend("torch").supports(Call("matmul", "int64", ((2, 2), (2, 2)))) == (
        "dtype int64 is not float32 or float64"
    )
    with pytest.raises(ValueError, match="'torch' has no exq"):
        get_backend("torch").run("exq", [np.eye(2)], np.empty((2, 2)))


@pytest.mark.parametrize(
    "shape_of",
    [
        lambda x: x,
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: np.broadcast_to(x, (3, *x.shape)),
    ],
    ids=["C", "F", "gaps", "broadcast"],
)
@pytest.mark.parametrize("writeable", [True, False])
def test_operands_are_not_copied(shape_of: Callable[[Array], Array], writeable: bool) -> None:
    array = shape_of(np.arange(12, dtype=np.float32).reshape(3, 4))
    if array.flags.writeable:
        array.flags.writeable = writeable
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = torch_backend._tensor(torch, array)
    assert tensor.data_ptr() == array.__array_interface__["data"][0]
    assert [stride * array.itemsize for stride in tensor.stride()] == list(array.strides)
    assert np.array_equal(tensor.numpy(), array)


def test_negative_strides_are_copied() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)[::-1, ::-1]
    tensor = torch_backend._tensor(torch, array)
    assert tensor.data_ptr() != array.__array_interface__["data"][0]
    assert np.array_equal(tensor.numpy(), array)


@pytest.mark.parametrize("threads", [1, 2, 0])
def test_as_many_threads_as_the_call_may_use(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def function(torch: Any, out: Any, a: Any, b: Any) -> None:
        seen.append(torch.get_num_threads())
        torch.matmul(a, b, out=out)

    monkeypatch.setattr(torch_backend, "FUNCTIONS", {"matmul": function})
    x = np.eye(3)
    get_backend("torch").run("matmul", [x, x], np.empty((3, 3)), threads=threads)
    assert seen == [threads or tensorops.get_num_threads()]


def test_an_error_leaves_the_settings_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(torch: Any, out: Any, *operands: Any) -> None:
        raise ArithmeticError("on purpose")

    monkeypatch.setattr(torch_backend, "FUNCTIONS", {"matmul": fail})
    with pytest.raises(ArithmeticError):
        get_backend("torch").run(
            "matmul", [np.eye(2)] * 2, np.empty((2, 2)), threads=torch.get_num_threads() + 1
        )


def test_calls_of_many_threads_leave_the_settings_as_they_were() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-4, 5, size=(60, 60)).astype(np.float32) for _ in range(2))
    errors: list[object] = []

    def body(threads: int) -> None:
        for _ in range(30):
            out = np.empty((60, 60), np.float32)
            get_backend("torch").run("matmul", [a, b], out, threads=threads)
            if not np.array_equal(out, a @ b):
                errors.append(out)

    workers = [threading.Thread(target=body, args=(1 + number % 3,)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []


@pytest.fixture(params=["legacy", "products", "all"])
def coarse(request: pytest.FixtureRequest) -> Iterator[None]:
    """Allow PyTorch less than float32 inside its products, in each of the ways it has."""
    if request.param == "legacy":
        torch.set_float32_matmul_precision("medium")
        yield
        assert torch.get_float32_matmul_precision() == "medium"
        torch.set_float32_matmul_precision("highest")
        return
    holder = torch.backends.mkldnn.matmul if request.param == "products" else torch.backends
    before = holder.fp32_precision
    holder.fp32_precision = "bf16" if request.param == "products" else "tf32"
    during = holder.fp32_precision
    yield
    assert holder.fp32_precision == during
    holder.fp32_precision = before


@pytest.mark.usefixtures("coarse")
def test_products_keep_the_bound_whatever_precision_pytorch_may_use() -> None:
    seen: list[str] = []

    def function(torch: Any, out: Any, a: Any, b: Any) -> None:
        seen.append(torch.backends.mkldnn.matmul.fp32_precision)
        torch.matmul(a, b, out=out)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_backend, "FUNCTIONS", {"matmul": function})
        x = np.full((64, 64), 1 + 2**-20, np.float32)
        out = get_backend("torch").run("matmul", [x, x], np.empty_like(x))
    assert set(seen) <= {"ieee", "none"}
    assert np.all(
        np.abs(out - OPERATIONS["matmul"].reference(x, x)) <= OPERATIONS["matmul"].error_bound(x, x)
    )


def test_autocast_does_not_reach_us() -> None:
    x = np.full((64, 64), 1 + 2**-20, np.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = tensorops.matmul(x, x, backend="torch")
    assert np.all(
        np.abs(out - OPERATIONS["matmul"].reference(x, x)) <= OPERATIONS["matmul"].error_bound(x, x)
    )


def test_without_torch_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_backend, "_installed", lambda: False)
    for name in ("torch", "torch_cuda"):
        assert tensorops.backends()[name] == "torch is not installed: python -m pip install torch"
        with pytest.raises(ValueError, match="torch is not installed"):
            tensorops.matmul(np.eye(2), np.eye(2), backend=name)


def test_a_blocked_import_is_no_installation() -> None:
    run(
        "import sys; sys.modules['torch'] = None\n"
        "import tensorops\n"
        "assert tensorops.backends()['torch'].startswith('torch is not installed')\n"
    )


def test_without_a_device_cuda_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = TorchCudaBackend()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch_backend, "_built_for_cuda", lambda: True)
    assert backend.available() == "torch finds no CUDA device"
    with pytest.raises(RuntimeError, match="'torch_cuda': torch finds no CUDA device"):
        backend.run("matmul", [np.eye(2)] * 2, np.empty((2, 2)))
    monkeypatch.setattr(torch_backend, "_built_for_cuda", lambda: False)
    assert backend.available() == "this torch is built without CUDA"
    monkeypatch.setattr(torch_backend, "_imported", lambda: False)
    monkeypatch.setattr(torch_backend, "_built_for_cuda", lambda: True)
    assert backend.available() is None
    assert "import it, or ask for backend='torch_cuda'" in str(backend.automatic())


@pytest.mark.parametrize(
    ("text", "built"),
    [
        ("cuda: Optional[str] = None\n", False),
        ("cuda = None\n", False),
        ("cuda: Optional[str] = '12.8'\n", True),
        ("cuda = '12.8'\ncuda_extra = 1\n", True),
        (None, True),
    ],
)
def test_what_torch_is_built_for_is_read_without_importing_it(
    text: str | None, built: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        (tmp_path / "version.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(torch_backend, "_imported", lambda: False)
    monkeypatch.setattr(torch_backend, "_origin", lambda: str(tmp_path / "__init__.py"))
    assert torch_backend._built_for_cuda.__wrapped__() is built


class OtherDevice(TorchCudaBackend):
    """The way of a CUDA call, copies included, on a device that every machine has."""

    name = "other_device"
    device = "cpu"

    def available(self) -> str | None:
        return TorchBackend.available(self)


def test_the_way_to_a_device_and_back(rng: np.random.Generator) -> None:
    a = rng.integers(-4, 5, size=(2, 9, 5)).astype(np.float32)[:, ::-1]
    b = np.broadcast_to(rng.integers(-4, 5, size=(5, 7)).astype(np.float32), (2, 5, 7))
    register_backend(OtherDevice())
    try:
        for out in (np.empty((2, 9, 7), np.float32), np.empty((2, 7, 9), np.float32)[:, ::-1].swapaxes(1, 2)):
            assert tensorops.matmul(a, b, out=out, backend="other_device") is out
            assert np.array_equal(out, a @ b)
    finally:
        unregister_backend("other_device")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device")
def test_cuda_computes(rng: np.random.Generator) -> None:
    a, b = (rng.standard_normal((40, 40)).astype(np.float32) for _ in range(2))
    out = tensorops.matmul(a, b, backend="torch_cuda")
    assert np.all(
        np.abs(out - OPERATIONS["matmul"].reference(a, b)) <= OPERATIONS["matmul"].error_bound(a, b)
    )

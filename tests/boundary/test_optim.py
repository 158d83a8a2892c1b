"""Optimizers' steps against their definitions, PyTorch, and the rules for what they change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tensorops
from tensorops.kernels.optim import family
from tensorops.operations import OPERATIONS
from tensorops.runtime import cpu

Array = NDArray[Any]
DTYPES = ("float32", "float64")
SPECS = {name: spec for name, spec in OPERATIONS.items() if spec.cost_class == "optimizer"}
SGD: list[tuple[str, dict[str, Any]]] = [
    ("sgd_step_", {"lr": 0.1}),
    ("sgd_step_", {"lr": 0.1, "weight_decay": 0.3}),
    ("sgd_step_", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.3}),
    ("sgd_step_", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
]
ADAM: list[tuple[str, dict[str, Any]]] = [
    (name, {"step": step, "weight_decay": decay, "lr": 0.01, "beta1": 0.8, "beta2": 0.99, "eps": 1e-6})
    for name in ("adam_step_", "adamw_step_")
    for step, decay in ((1, 0.0), (7, 0.2))
]
CASES = pytest.mark.parametrize(("name", "params"), [*SGD, *ADAM])
EACH_DTYPE = pytest.mark.parametrize("dtype", DTYPES)


def operands_of(name: str, shape: Sequence[int], dtype: str, seed: int = 0) -> list[Array]:
    spec = SPECS[name]
    assert spec.operands is not None
    shapes = [tuple(shape)] * len(spec.shapes_of((1, 1, 1, 1)))
    return list(spec.operands(shapes, dtype, np.random.default_rng(seed)))


def run(name: str, operands: Sequence[Any], params: Mapping[str, Any]) -> Any:
    return getattr(tensorops, name)(*operands, **params)


def check(name: str, before: Sequence[Array], after: Sequence[Array], params: Mapping[str, Any]) -> None:
    spec = SPECS[name]
    expected, bounds = spec.reference(*before, **params), spec.error_bound(*before, **params)
    assert len(expected) == len(bounds) == len(spec.changed)
    for place, right, bound in zip(spec.changed, expected, bounds, strict=True):
        assert np.all(np.abs(after[place].astype(np.float64) - right) <= bound), (name, place)
    assert np.array_equal(after[1], before[1])


@CASES
@EACH_DTYPE
def test_steps_of_every_length(name: str, params: dict[str, Any], dtype: str) -> None:
    for shape in ((0,), (1,), (7,), (16,), (33,), (5, 13), (), (70_001,)):
        before = operands_of(name, shape, dtype)
        after = [x.copy() for x in before]
        assert run(name, after, params) is after[0]
        check(name, before, after, params)


@CASES
@EACH_DTYPE
def test_any_strides(name: str, params: dict[str, Any], dtype: str) -> None:
    before = operands_of(name, (6, 9, 5), dtype)
    views = [np.swapaxes(before[0].copy(), 0, 2), *[x.copy().T for x in before[1:]]]
    turned = [x.copy() for x in views]
    run(name, views, params)
    check(name, turned, views, params)
    bases = [np.repeat(x, 2, axis=0) for x in before]
    steps = [base[::-2] for base in bases]
    copies = [x.copy() for x in steps]
    kept = [base[::2].copy() for base in bases]
    run(name, steps, params)
    check(name, copies, steps, params)
    assert all(np.array_equal(base[::2], other) for base, other in zip(bases, kept, strict=True))


@pytest.mark.parametrize("dtype", ["float16", "longdouble", ">f8"])
def test_other_floating_dtypes_go_to_numpy(dtype: str) -> None:
    before = [x.astype(dtype) for x in operands_of("adam_step_", (9,), "float64")]
    after = [x.copy() for x in before]
    assert tensorops.adam_step_(*after, step=2) is after[0]
    expected = SPECS["adam_step_"].reference(*before, step=2)
    for place, right in zip((0, 2, 3), expected, strict=True):
        assert np.allclose(after[place].astype(float), right, rtol=1e-2 if dtype == "float16" else 1e-12)


@CASES
def test_backends_compute_the_same(name: str, params: dict[str, Any]) -> None:
    expected = operands_of(name, (31,), "float64")
    run(name, expected, params)
    for backend in ("numpy", "blocked"):
        found = operands_of(name, (31,), "float64")
        with tensorops.use_backend(backend):
            run(name, found, params)
        assert all(np.allclose(a, b, rtol=1e-12, atol=1e-15) for a, b in zip(found, expected, strict=True))


@CASES
def test_what_is_wrong_is_refused_before_anything_is_changed(name: str, params: dict[str, Any]) -> None:
    operands = operands_of(name, (12,), "float32")
    count = len(operands)
    copies = [x.copy() for x in operands]

    def refuse(error: type[Exception], message: str, given: Sequence[Any], **more: Any) -> None:
        with pytest.raises(error, match=message):
            run(name, given, {**params, **more})
        assert all(np.array_equal(a, b) for a, b in zip(operands, copies, strict=True))

    memory = np.zeros(13, "float32")
    for place in range(count):
        others = [*operands[:place], None, *operands[place + 1 :]]

        def with_one(x: Any, others: list[Any] = others, place: int = place) -> list[Any]:
            return [*others[:place], x, *others[place + 1 :]]

        refuse(ValueError, r"\(11,\)", with_one(np.zeros(11, "float32")))
        refuse(TypeError, "float64", with_one(np.zeros(12)))
        refuse(TypeError, "masked|Masked", with_one(np.ma.zeros(12, "float32")))
        refuse(ValueError, "overlaps", with_one(operands[(place + 1) % count]))
        refuse(ValueError, "overlaps", with_one(operands[(place + 1) % count][::-1]))
        if place != 1:
            refuse(TypeError, "must be an array", with_one([0.0] * 12))
            fixed = copies[place].copy()
            fixed.flags.writeable = False
            refuse(ValueError, "read-only", with_one(fixed))
            refuse(ValueError, "share memory", with_one(np.lib.stride_tricks.as_strided(memory, (12,), (0,))))
    moved = np.zeros(13, "float32")
    refuse(ValueError, "overlaps", [moved[1:], moved[:12], *operands[2:]])
    refuse(TypeError, "floating-point", [x.astype(int) for x in operands])
    refuse(ValueError, "lr=-1", operands, lr=-1)
    refuse(ValueError, "weight_decay=nan", operands, weight_decay=np.nan)


def test_wrong_numbers_of_adam() -> None:
    operands = operands_of("adam_step_", (3,), "float64")
    for function in (tensorops.adam_step_, tensorops.adamw_step_):
        with pytest.raises(ValueError, match="step=0"):
            function(*operands, step=0)
        for step in (1.0, True, "1"):
            with pytest.raises(TypeError, match="whole number"):
                function(*operands, step=step)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="beta1=1"):
            function(*operands, step=1, beta1=1.0)
        with pytest.raises(ValueError, match=r"beta2=-0\.5"):
            function(*operands, step=1, beta2=-0.5)
        with pytest.raises(ValueError, match="eps"):
            function(*operands, step=1, eps=-1e-8)


def test_wrong_numbers_of_sgd() -> None:
    p, g, velocity = operands_of("sgd_step_", (3,), "float64")
    with pytest.raises(ValueError, match="needs a velocity"):
        tensorops.sgd_step_(p, g, lr=0.1, momentum=0.9)
    with pytest.raises(ValueError, match="needs a momentum"):
        tensorops.sgd_step_(p, g, velocity, lr=0.1, nesterov=True)
    kept = velocity.copy()
    tensorops.sgd_step_(p, g, velocity, lr=0.1)
    assert np.array_equal(velocity, kept)


@CASES
@EACH_DTYPE
def test_three_steps_of_pytorch(name: str, params: dict[str, Any], dtype: str) -> None:
    torch = pytest.importorskip("torch")
    p, *_ = operands_of(name, (50,), dtype)
    ours = [p.copy(), p, *[np.zeros_like(p) for _ in operands_of(name, (1,), dtype)[2:]]]
    theirs = torch.tensor(p, requires_grad=True)
    given = {key: value for key, value in params.items() if key not in ("step", "beta1", "beta2")}
    if name != "sgd_step_":
        given["betas"] = (params["beta1"], params["beta2"])
    kind = {"sgd_step_": torch.optim.SGD, "adam_step_": torch.optim.Adam, "adamw_step_": torch.optim.AdamW}[
        name
    ]
    optimizer = kind([theirs], **given)
    rng = np.random.default_rng(2)
    for step in (1, 2, 3):
        grad = rng.standard_normal(50).astype(dtype)
        theirs.grad = torch.tensor(grad)
        optimizer.step()
        run(name, [ours[0], grad, *ours[2:]], {**params, "step": step} if "step" in params else params)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    assert np.allclose(ours[0], theirs.detach().numpy(), rtol=tolerance, atol=tolerance / 10)


@EACH_DTYPE
def test_infinities_and_nan_pass_through(dtype: str) -> None:
    p, g, m, v = operands_of("adam_step_", (40,), dtype)
    g[3], g[5], p[7] = np.nan, np.inf, np.inf
    tensorops.adam_step_(p, g, m, v, step=1)
    assert np.isnan(p[[3, 5]]).all()
    assert np.isinf(p[7])
    assert np.isfinite(np.delete(p, [3, 5, 7])).all()


@EACH_DTYPE
def test_the_selected_instruction_set_computes(dtype: str) -> None:
    assert family.kernel_name(dtype) == f"steps_{cpu.selected_isa()}_{dtype}"
    with pytest.raises(TypeError, match="int8"):
        family.kernel_name("int8")


@CASES
def test_the_oracle_catches_a_wrong_element(name: str, params: dict[str, Any]) -> None:
    before = operands_of(name, (9,), "float32")
    after = [x.copy() for x in before]
    run(name, after, params)
    after[0][4] *= np.float32(1.0001)
    with pytest.raises(AssertionError):
        check(name, before, after, params)

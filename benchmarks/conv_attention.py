"""Convolutions and attention beside PyTorch: ``python benchmarks/conv_attention.py --threads 1``.

Every result is verified first. The two are timed in turn in one process; a ratio is PyTorch's shortest time
over ours, so above 1 ours is faster. Above one thread, PyTorch's pool may disturb the next contender.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import tensorops
from tensorops.operations import OPERATIONS

# Images, channels, side, outputs, padding, stride; windows of 3 by 3.
CONVOLUTIONS = (
    (32, 16, 28, 16, 1, 1),
    (32, 16, 28, 32, 1, 1),
    (16, 32, 28, 32, 1, 1),
    (16, 32, 28, 64, 1, 2),
    (8, 64, 28, 64, 1, 1),
    (8, 64, 56, 64, 1, 1),
    (8, 64, 56, 64, 0, 1),
)
# Heads, queries and keys, length, causal.
ATTENTION = ((8, 128, 64, True), (8, 512, 64, True), (8, 512, 64, False), (8, 2048, 64, True))

Case = tuple[str, str, int, Callable[[], Any], Callable[[], Any]]


def convolutions() -> Iterator[Case]:
    """Yield group, name, FLOPs and the two calls of each convolution, verified."""
    import torch

    rng = np.random.default_rng(0)
    for images, channels, side, outputs, padding, stride in CONVOLUTIONS:
        shapes = ((images, channels, side, side), (outputs, channels, 3, 3), (outputs,))
        arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
        tensors = [torch.from_numpy(array) for array in arrays]
        params = {"stride": stride, "padding": padding}

        def ours(arrays: Any = arrays, params: Any = params) -> Any:
            return tensorops.conv2d(*arrays, **params)

        def theirs(tensors: Any = tensors, params: Any = params) -> Any:
            return torch.conv2d(*tensors, **params)

        if not np.allclose(ours(), theirs(), rtol=1e-3, atol=1e-3):
            raise SystemExit(f"conv2d is wrong on {shapes}")
        name = f"{images}x{channels}x{side}x{side} to {outputs}, padding {padding}, stride {stride}"
        yield "conv2d", name, OPERATIONS["conv2d"].flops(shapes, params), ours, theirs


def attentions() -> Iterator[Case]:
    """Yield group, name, FLOPs and the two calls of each attention, verified."""
    import torch

    rng = np.random.default_rng(0)
    for heads, length, depth, causal in ATTENTION:
        shape = (1, heads, length, depth)
        arrays = [rng.standard_normal(shape).astype(np.float32) for _ in range(3)]
        tensors = [torch.from_numpy(array) for array in arrays]

        def ours(arrays: Any = arrays, causal: bool = causal) -> Any:
            return tensorops.attention(*arrays, causal=causal)

        def theirs(tensors: Any = tensors, causal: bool = causal) -> Any:
            q, k, v = tensors
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)

        if not np.allclose(ours(), theirs(), rtol=1e-3, atol=1e-4):
            raise SystemExit(f"attention is wrong on {shape}")
        name = f"{heads}x{length}x{depth}{' causal' if causal else ''}"
        yield "attention", name, OPERATIONS["attention"].flops([shape] * 3, {"causal": causal}), ours, theirs


def shortest(first: Callable[[], Any], second: Callable[[], Any], seconds: float) -> tuple[float, float]:
    """Return the shortest times of two calls that take turns, each as often the first of the two."""
    best = [math.inf, math.inf]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for number in (0, 1, 1, 0):
            start = time.perf_counter()
            (first, second)[number]()
            best[number] = min(best[number], time.perf_counter() - start)
    return best[0], best[1]


def main() -> None:
    """Print the table and the geometric mean of each group."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="threads of both")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each case")
    chosen = parser.parse_args()
    tensorops.set_num_threads(chosen.threads)
    torch.set_num_threads(chosen.threads)
    torch.set_grad_enabled(False)
    ratios: dict[str, list[float]] = {}
    print(f"float32, {chosen.threads} thread(s), PyTorch {torch.__version__}")
    for cases in (convolutions(), attentions()):
        for group, name, flops, ours, theirs in cases:
            mine, other = shortest(ours, theirs, chosen.seconds)
            ratios.setdefault(group, []).append(other / mine)
            print(
                f"{group:10}{name:44}{mine * 1e3:9.3f} ms {flops / mine * 1e-9:7.1f} GFLOP/s"
                f"   PyTorch {other * 1e3:9.3f} ms   ratio {other / mine:5.2f}"
            )
    for group, values in ratios.items():
        mean = math.exp(sum(map(math.log, values)) / len(values))
        print(f"{group}: geometric mean {mean:.2f}, lowest {min(values):.2f}")


if __name__ == "__main__":
    main()

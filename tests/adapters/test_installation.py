"""The operations under a course-style library, and away again."""

import gc
import importlib
import sys
import threading
import types

import numpy as np
import pytest

import tensorops
from tensorops import adapters
from tests.adapters import course
from tests.adapters.course import activations, autograd, layers
from tests.adapters.course.tensor import Tensor

NAME = "tests.adapters.course"


def codes():
    """Return the code of every function of the library."""
    return {
        id(thing): thing.__code__
        for thing in gc.get_objects()
        if type(thing) is types.FunctionType and (thing.__module__ or "").startswith(NAME)
    }


@pytest.fixture
def calls():
    """Return shapes of the products that are computed here, one entry each."""

    class Counted(list):
        def __enter__(self):
            self.swap = tensorops.install(course, record=True)
            return self

        def __exit__(self, *error):
            self.swap.uninstall()

        def taken(self):
            entries = self.swap.recorder.calls
            shapes = sorted(key[1] for key, entry in entries.items() for _ in range(entry.count))
            entries.clear()
            return shapes

    return Counted()


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def whole(rng, *shape):
    return rng.integers(-4, 5, shape).astype(np.float32)


def test_every_binding_is_reached(calls, rng):
    a, b = Tensor(whole(rng, 5, 4)), Tensor(whole(rng, 4, 3))
    ways = {
        "module function": lambda: layers.matmul(a, b),
        "another name": lambda: autograd.product(a, b),
        "method": lambda: a.matmul(b),
        "operator": lambda: a @ b,
        "decorated": lambda: autograd.squared(Tensor(a.data[:4])),
    }
    expected = {name: way().data for name, way in ways.items()}
    with calls:
        for name, way in ways.items():
            assert np.array_equal(way().data, expected[name])
            assert len(calls.taken()) == 1, name
    assert np.array_equal(ways["operator"]().data, expected["operator"])
    assert calls.taken() == []


def test_the_backward_pass_is_reached(calls, rng):
    x, w = whole(rng, 6, 4), whole(rng, 4, 3)

    def gradients():
        a, b = autograd.Variable(x), autograd.Variable(w)
        autograd.matmul(a, b).backward()
        return a.grad, b.grad

    expected = gradients()
    with calls:
        found = gradients()
        assert calls.taken() == sorted([((6, 4), (4, 3)), ((6, 3), (3, 4)), ((4, 6), (6, 3))])
    assert all(map(np.array_equal, found, expected))


def test_a_graph_made_before_works_after(rng):
    a, b = autograd.Variable(whole(rng, 6, 4)), autograd.Variable(whole(rng, 4, 3))
    before = autograd.matmul(a, b)
    with tensorops.install(course):
        before.backward()
        during = autograd.matmul(autograd.Variable(a.data), autograd.Variable(b.data))
    during.backward()
    assert a.grad.shape == (6, 4)


def test_errors_stay_the_library_s_own():
    pairs = [(np.ones((2, 3)), np.ones((2, 3)))]
    for operation in (layers.matmul, Tensor.matmul):
        for a, b in pairs:
            with pytest.raises(ValueError) as before:
                operation(Tensor(a), Tensor(b))
            with tensorops.install(course), pytest.raises(ValueError) as after:
                operation(Tensor(a), Tensor(b))
            assert str(before.value) == str(after.value)


def test_dtypes_and_other_shapes_stay(rng):
    operands = [
        (rng.integers(-3, 4, (3, 4)), rng.integers(-3, 4, (4, 2))),
        (rng.integers(-3, 4, (3, 4)), whole(rng, 4, 2)),
        (whole(rng, 2, 3, 4), whole(rng, 4, 2)),
        (whole(rng, 0, 4), whole(rng, 4, 2)),
        (np.asfortranarray(whole(rng, 3, 4)), whole(rng, 2, 4).T),
    ]
    for a, b in operands:
        expected = Tensor(a).matmul(Tensor(b)).data
        with tensorops.install(course):
            found = Tensor(a).matmul(Tensor(b)).data
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)


def test_layers_and_activations_are_tried_first(rng):
    with tensorops.install(course) as swap:
        sites = {site.name.removeprefix(f"{NAME}."): site for site in swap.sites}
        assert sites["layers.Linear.forward"].what == "linear"
        assert sites["activations.ReLU.forward"].what == "relu"
        assert sites["activations.GELU.forward"].what == "gelu, sigmoid form"
        assert "cannot be made" in sites["activations.Sigmoid.forward"].reason
        assert "something else" in sites["activations.Tanh.forward"].reason
        assert not sites["activations.Tanh.forward"].replaced
        layer = layers.Linear(4, 3)
        x = Tensor(whole(rng, 5, 4))
        inside = layer.forward(x).data, activations.GELU().forward(x).data
        with pytest.raises(ValueError, match="cannot multiply"):
            layer.forward(Tensor(np.ones((5, 3))))
    outside = layer.forward(x).data, activations.GELU().forward(x).data
    for first, second in zip(inside, outside, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)


def test_trials_draw_no_random_numbers_of_the_user_s():
    before = np.random.get_state()[1:3]  # noqa: NPY002 -- what the library draws from
    with tensorops.install(course):
        after = np.random.get_state()[1:3]  # noqa: NPY002 -- as above
    assert np.array_equal(before[0], after[0])
    assert before[1] == after[1]


def test_everything_is_restored():
    before = codes()
    names = {
        module: set(vars(sys.modules[module])) for module in list(sys.modules) if module.startswith(NAME)
    }
    swap = tensorops.install(NAME)
    assert swap.active
    assert codes() != before
    tensorops.uninstall(NAME)
    assert not swap.active
    assert codes() == before
    assert all(set(vars(sys.modules[module])) == found for module, found in names.items())
    swap.uninstall()


def test_an_error_inside_restores():
    before = codes()
    with pytest.raises(KeyError), tensorops.install(course):
        raise KeyError
    assert codes() == before


def test_it_may_come_and_go_during_a_call(rng):
    a, b = Tensor(whole(rng, 30, 30)), Tensor(whole(rng, 30, 30))
    expected = layers.matmul(a, b).data
    wrong = []
    stop = threading.Event()

    def work():
        while not stop.is_set():
            if not np.array_equal(layers.matmul(a, b).data, expected):
                wrong.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(5):
        with tensorops.install(course):
            layers.matmul(a, b)
    stop.set()
    thread.join()
    assert not wrong


def test_calls_are_recorded(rng):
    a, b = Tensor(whole(rng, 40, 30)), Tensor(whole(rng, 30, 20))
    with tensorops.install(course, record=True) as swap:
        for _ in range(3):
            layers.matmul(a, b)
        activations.ReLU().forward(a)
    counts = {key[0].removeprefix(f"{NAME}."): entry.count for key, entry in swap.recorder.calls.items()}
    assert counts == {"layers.matmul:13": 3, "activations.ReLU.forward (relu)": 1}
    ((key, entry),) = [item for item in swap.recorder.calls.items() if "layers" in item[0][0]]
    assert key[1:] == (((40, 30), (30, 20)), ("float32", "float32"))
    seconds, scaled = swap.recorder.before(key)
    assert seconds > entry.fastest
    assert not scaled
    large = (key[0], ((4000, 300), (300, 200)), key[2])
    assert swap.recorder.before(large)[1]
    text = swap.report()
    assert "40x30 @ 30x20" in text
    assert "left: it computes something else" in text


def test_bad_libraries_are_named(tmp_path, monkeypatch):
    with pytest.raises(TypeError, match="module or its name, not int"):
        tensorops.install(3)
    with pytest.raises(ModuleNotFoundError):
        tensorops.install("no_such_library")
    (tmp_path / "without_products.py").write_text("def matmul(a, b):\n    return a.times(b)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"no product that can be replaced.*without_products\.matmul"):
        tensorops.install("without_products")
    with pytest.raises(ValueError, match="no product"):
        tensorops.install(types.ModuleType("made_by_hand"))
    with tensorops.install(course):
        with pytest.raises(RuntimeError, match=f"under {NAME} already"):
            tensorops.install(course)
        with pytest.raises(RuntimeError, match="shares modules"):
            tensorops.install(layers)
    with pytest.raises(ValueError, match="under: none"):
        tensorops.uninstall(course)


def test_a_source_that_has_changed_is_left(tmp_path, monkeypatch):
    text = "import numpy as np\ndef product(a, b):\n    return a @ b\n"
    path = tmp_path / "changing.py"
    path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("changing")
    path.write_text("import numpy as np\n\n\ndef product(a, b):\n    return 2 * (a @ b)\n")
    with pytest.raises(ValueError, match="changed since"):
        tensorops.install(module)
    assert module.product(np.eye(2), np.eye(2))[0, 0] == 1


def test_tracebacks_point_at_the_source():
    with tensorops.install(course):
        code = layers.matmul.__code__
        assert (code.co_filename, code.co_firstlineno) == (layers.__file__, 6)
        with pytest.raises(ValueError, match="cannot multiply") as caught:
            layers.matmul(Tensor(np.ones((2, 3))), Tensor(np.ones((2, 3))))
    assert caught.traceback[-1].lineno == 10


def test_code_that_somebody_else_exchanged_stays():
    swap = adapters.install(course)
    original = activations.ReLU.forward.__code__
    activations.ReLU.forward.__code__ = (lambda self, x: x).__code__
    swap.uninstall()
    assert "exchanged again" in swap.sites[-1].reason
    assert activations.ReLU().forward(5) == 5
    activations.ReLU.forward.__code__ = original.replace()
    importlib.reload(activations)

import numpy as np
import pytest

from profiling.model.chase import chase


@pytest.mark.parametrize(
    ("following", "steps", "message"),
    [
        ([], 1, "at least one place"),
        ([0], 0, "at least one step"),
        ([1, 2], 5, "place 1 leads to 2"),
        ([-1], 5, "place 0 leads to -1"),
    ],
)
def test_chains_that_lead_nowhere_are_refused(following, steps, message):
    with pytest.raises(ValueError, match=message):
        chase(np.array(following, np.intp), steps)


def test_a_step_takes_time():
    following = np.roll(np.arange(1000), -1)
    assert 0 < chase(following, 100_000) < 1e-3

import math

import keras
import numpy as np
import pytest

from trainers.steps.schedule import Schedule


def rates(schedule, steps):
    return [float(schedule(step)) for step in steps]


def test_cosine_by_hand():
    schedule = Schedule(peak=2.0, steps=110, warmup=10, decay="cosine", final=0.1)
    # Warm-up: 1/10 at step 0, full at step 9. Then half way between 1 and 0.1 in the middle, 0.1 at the end.
    np.testing.assert_allclose(rates(schedule, [0, 9, 10, 60, 110, 500]), [0.2, 2, 2, 2 * 0.55, 0.2, 0.2], rtol=1e-5)


def test_exponential_by_hand():
    schedule = Schedule(peak=1e-3, steps=1000, decay="exponential", rate=0.5, every=100)
    np.testing.assert_allclose(rates(schedule, [0, 100, 300, 150]), [1e-3, 5e-4, 1.25e-4, 1e-3 / 2**1.5], rtol=1e-5)


def test_constant_and_halving():
    schedule = Schedule(peak=1.0, steps=10, decay="constant")
    optimizer = keras.optimizers.SGD(schedule)
    optimizer.build([keras.Variable([0.0])])
    schedule.attach(optimizer)
    schedule.halve()
    schedule.halve()
    assert rates(schedule, [0, 5]) == [0.25, 0.25]
    assert schedule.factor in optimizer.variables
    assert float(optimizer.learning_rate) == 0.25


@pytest.mark.parametrize("wrong", [{"decay": "linear"}, {"peak": 0}, {"peak": math.nan}, {"warmup": 11}, {"rate": 1.5}])
def test_refusals(wrong):
    with pytest.raises(ValueError):
        Schedule(**{"peak": 1.0, "steps": 10, **wrong})

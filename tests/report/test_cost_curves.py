"""The curves against cost: a step at each trial, averaged over orders for an exchangeable arm."""

import numpy as np
import pandas as pd
import pytest

from pipeline.report.cost_curves import cost_curves
from pipeline.report.curves import Pool
from pipeline.study.spec import Arm


def pool(arm, test, epochs, block=0):
    """A pool in which each trial has a higher validation accuracy than the one before."""
    return Pool(arm, block, np.arange(len(test)) / 10, np.array(test), pd.DataFrame({"epochs": epochs}), ())


def test_an_adaptive_arm_keeps_the_order_of_its_trials():
    """From the cost of the most expensive trial on, each block shows the choice among the trials that are finished."""
    arm = Arm("tpe")
    blocks = [pool(arm, [0.6, 0.3, 0.8], [1, 2, 3]), pool(arm, [0.5, 0.4, 0.9], [4, 1, 1], block=1)]
    (curve,) = cost_curves(blocks, ["epochs"])
    assert curve.costs[[0, -1]] == pytest.approx([4, 6])
    paid = curve.costs[:-1]
    np.testing.assert_array_equal(curve.test[0, :-1], np.where(paid < 6, 0.3, 0.8))
    np.testing.assert_array_equal(curve.test[1, :-1], np.where(paid < 5, 0.5, 0.4))
    assert curve.test[:, -1].tolist() == [0.8, 0.9]


def test_an_exchangeable_arm_is_averaged_over_orders():
    """With equal costs the accuracy after n trials is the mean over all orders."""
    (curve,) = cost_curves([pool(Arm("random"), [0.2, 0.4, 0.9], [1, 1, 1])], ["epochs"])
    two = (curve.costs > 2.01) & (curve.costs < 2.99)
    np.testing.assert_allclose(curve.test[0, two], (0.4 + 0.9 + 0.9) / 3, atol=0.03)
    assert curve.test[0, 0] == pytest.approx(0.5, abs=0.03)
    assert curve.test[0, -1] == pytest.approx(0.9)

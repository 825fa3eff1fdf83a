"""Early stopping of a single trial."""

from pipeline.estimator.trial_training import Patience


def test_patience_waits_for_a_rise_of_more_than_the_tolerance():
    """It stops after a number of epochs with rises below the tolerance; a greater rise restarts the count."""
    patience = Patience(2, tol=0.1)
    goes_on = [patience.add(score) for score in (0.5, 0.55, 0.7, 0.75, 0.79)]
    assert goes_on == [True, True, True, True, False]

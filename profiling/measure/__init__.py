"""Measuring: the timer, the estimator, records of runs, the machine."""

"""The search of ``own_model.py`` by Ray Tune with MLflow, in turns with Babysit and with Optuna and MLflow by hand.

``python benchmarks/peers/ray_tune.py PYTHON`` prints the table of ``own_model.py`` with a row for Ray Tune. PYTHON is an
interpreter with ``ray[tune]``, ``mlflow`` and ``scikit-learn``; the others run with Babysit's own. One trial runs at a time.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from own_model import SIDES, compare

RAY_TUNE = """
import time
import numpy as np
import ray
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from timed import Timed
x, y = load_digits(return_X_y=True)
x, x_test, y, y_test = train_test_split((x - 8) / 6, y, test_size=0.2, random_state=0, stratify=y)
x, x_val, y, y_val = train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)
def objective(config, rows):
    x, y, x_val, y_val, x_test, y_test = rows
    model = Timed(**config).fit(x, y)
    accuracy = {"val_accuracy": np.mean(model.predict(x_val) == y_val), "test_accuracy": np.mean(model.predict(x_test) == y_test)}
    tune.report(accuracy)
ray.init()
tuner = tune.Tuner(
    tune.with_parameters(objective, rows=(x, y, x_val, y_val, x_test, y_test)),
    param_space={"C": tune.loguniform(1e-2, 1e3)},
    tune_config=tune.TuneConfig(metric="val_accuracy", mode="max", num_samples=TRIALS, max_concurrent_trials=1, reuse_actors=True),
    run_config=tune.RunConfig(callbacks=[MLflowLoggerCallback(tracking_uri="sqlite:///mlflow.db", experiment_name="svc")]),
)
start = time.perf_counter()
tuner.fit()
print("SECONDS", time.perf_counter() - start)
"""
SETTINGS = """
import os
os.environ |= {"RAY_CHDIR_TO_TRIAL_DIR": "0", "RAY_USAGE_STATS_ENABLED": "0"}  # all trials write into one seconds.txt
"""

if __name__ == "__main__":
    compare(SIDES | {"Ray Tune and MLflow": (RAY_TUNE, SETTINGS + RAY_TUNE, sys.argv[1])})

"""The script without Babysit: Optuna, nested MLflow runs and scikit-learn, each as its manual shows it.

It prints the seconds of a trial, without imports and the creation of both databases.
"""

import argparse
import logging
import os
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow
import numpy as np
import optuna
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

EPOCHS = 20


def load(seed: int) -> list[np.ndarray]:
    """Return digits, split 60/20/20 and standardised: the inputs of the three splits, then their labels."""
    inputs, labels = load_digits(return_X_y=True)
    rest, X_test, rest_labels, y_test = train_test_split(
        inputs, labels, test_size=0.2, stratify=labels, random_state=seed
    )
    X_train, X_val, y_train, y_val = train_test_split(
        rest, rest_labels, test_size=0.25, stratify=rest_labels, random_state=seed
    )
    scaler = StandardScaler().fit(X_train)
    return [*map(scaler.transform, (X_train, X_val, X_test)), y_train, y_val, y_test]


DATA = load(seed=0)


def objective(trial: optuna.Trial) -> float:
    """Train one network, log its curves in a nested run, and return its best validation accuracy."""
    X_train, X_val, X_test, y_train, y_val, y_test = DATA
    params = {
        "learning_rate_init": trial.suggest_float("learning_rate", 1e-4, 10, log=True),
        "alpha": trial.suggest_float("l2", 1e-6, 1e-1, log=True),
        "activation": trial.suggest_categorical("activation", ["relu", "tanh"]),
    }
    network = MLPClassifier(
        hidden_layer_sizes=(50,),
        solver="sgd",
        batch_size=64,
        learning_rate="constant",
        momentum=0,
        random_state=trial.number,
        **params,
    )
    best = 0.0
    with mlflow.start_run(run_name=f"trial-{trial.number:03d}", nested=True):
        mlflow.log_params(trial.params)
        mlflow.set_tags({"sampler": "random", "trial": trial.number})
        for epoch in range(EPOCHS):
            try:
                network.partial_fit(X_train, y_train, classes=np.arange(10))
                metrics = {
                    "train_loss": network.loss_,
                    "val_loss": log_loss(y_val, network.predict_proba(X_val)),
                    "train_accuracy": network.score(X_train, y_train),
                    "val_accuracy": network.score(X_val, y_val),
                }
            except ValueError:  # scikit-learn's word for a network that diverged
                mlflow.set_tag("diverged", True)
                return 0.1
            mlflow.log_metrics(metrics, step=epoch)
            best = max(best, metrics["val_accuracy"])
        mlflow.log_metrics({"best_val_accuracy": best, "test_accuracy": network.score(X_test, y_test)})
    return best


def main() -> None:
    """Search at random in a temporary folder, and print the cost of a trial."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    trials = parser.parse_args().trials
    for noisy in ("alembic", "mlflow"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        mlflow.set_tracking_uri(f"sqlite:///{Path(folder) / 'mlflow.db'}")
        mlflow.set_experiment("users_script")
        sampler = optuna.samplers.RandomSampler(seed=0)
        study = optuna.create_study(storage="sqlite:///optuna.db", direction="maximize", sampler=sampler)
        start = time.perf_counter()
        with mlflow.start_run(run_name="study"):
            study.optimize(objective, n_trials=trials)
            mlflow.log_metric("best_val_accuracy", study.best_value)
        seconds = time.perf_counter() - start
        os.chdir("/")
    print(f"{seconds / trials:.4f} seconds per trial")


if __name__ == "__main__":
    main()

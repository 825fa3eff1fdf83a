"""What a recorded trial of a scikit-learn classifier costs without its fit: babysit, and Optuna with MLflow by hand.

Both search the same classifier on digits with one worker, in turns, in empty folders. ``python benchmarks/own_model.py``
prints the lines of code, and the milliseconds of a trial without its fit and predictions. They are those of a long search
minus those of a short one, so that starts do not count.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

CLONE = Path(__file__).resolve().parents[1]
FEW, MANY, ROUNDS = 20, 220, 3

STUDY = """
from pipeline import Arm, Float, SearchSpace, Study
STUDY = Study(
    name="svc", question="?", dataset="digits", model="timed:Timed", space=SearchSpace(C=Float(1e-2, 1e3, log=True)),
    arms=(Arm("random"),), trials=TRIALS, blocks=1, confirm=0,
)
"""
TIMED = """
import time
from sklearn.svm import SVC
class Timed(SVC):
    def fit(self, x, y):
        start = time.perf_counter()
        super().fit(x, y)
        return self._add(start)
    def predict(self, x):
        start = time.perf_counter()
        result = super().predict(x)
        self._add(start)
        return result
    def _add(self, start):
        with open("seconds.txt", "a") as file:
            file.write(f"{time.perf_counter() - start}\\n")
        return self
"""
BABYSIT = """
import time
from pipeline.cli.main import main
import pipeline.commands.search as search
inner = search.search
def timed(job, engine):
    start = time.perf_counter()
    inner(job, engine)
    print("SECONDS", time.perf_counter() - start)
search.search = timed
main(["search", "svc.py", "--workers", "1", "--quiet"])
"""
BY_HAND = """
import time
import mlflow, numpy as np, optuna
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from timed import Timed
mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("svc")
optuna.logging.set_verbosity(optuna.logging.ERROR)
x, y = load_digits(return_X_y=True)
x, x_test, y, y_test = train_test_split((x - 8) / 6, y, test_size=0.2, random_state=0, stratify=y)
x, x_val, y, y_val = train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)
def objective(trial):
    with mlflow.start_run():
        params = {"C": trial.suggest_float("C", 1e-2, 1e3, log=True)}
        mlflow.log_params(params)
        model = Timed(**params).fit(x, y)
        score = np.mean(model.predict(x_val) == y_val)
        mlflow.log_metrics({"val_accuracy": score, "test_accuracy": np.mean(model.predict(x_test) == y_test)})
        return score
storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend("optuna.log"))
study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(0), storage=storage)
start = time.perf_counter()
study.optimize(objective, n_trials=TRIALS)
print("SECONDS", time.perf_counter() - start)
"""


def outside(script: str, trials: int, python: str = sys.executable) -> float:
    """Run a script in an empty folder with an interpreter; return its seconds outside of the classifier."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in (("svc.py", STUDY), ("timed.py", TIMED), ("script.py", script)):
            (folder / file).write_text(text.replace("TRIALS", str(trials)))
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{CLONE}:{folder}", "HOME": name}
        done = subprocess.run(
            [python, "script.py"], cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
        whole = float(done.stdout.rpartition("SECONDS ")[2].split()[0])
        return whole - sum(map(float, (folder / "seconds.txt").read_text().split()))


def without_fit(script: str, python: str = sys.executable) -> float:
    """Return the milliseconds that one more trial costs without its fit."""
    return 1000 * (outside(script, MANY, python) - outside(script, FEW, python)) / (MANY - FEW)


def compare(sides: Mapping[str, tuple[str, str, str]]) -> None:
    """Run each side's script in turns, and print a table: a side's name has its lines of code, its script, an interpreter."""
    rounds = [[without_fit(script, python) for _, script, python in sides.values()] for _ in range(ROUNDS)]
    print(
        "| a search of support vector machines by | lines | ms a trial, without its fit | rounds |\n|---|---:|---:|---|"
    )
    for (name, (code, *_)), values in zip(sides.items(), zip(*rounds, strict=True), strict=True):
        lines = sum(bool(line.strip()) for line in code.splitlines())
        listed = ", ".join(f"{value:.1f}" for value in sorted(values))
        print(f"| {name} | {lines} | {statistics.median(values):.1f} | {listed} |")


SIDES = {
    "Babysit": (STUDY, BABYSIT, sys.executable),
    "Optuna and MLflow by hand": (BY_HAND, BY_HAND, sys.executable),
}

if __name__ == "__main__":
    compare(SIDES)

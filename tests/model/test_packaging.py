"""The code that a registered model carries: only what predicts, in a package with a unique name."""

import ast
import os
import subprocess
import sys

from pipeline.model.best import REQUIREMENTS
from pipeline.model.packaging import carried, write_package

SERVED = "pipeline.model.serving"


def test_the_carried_code_imports_what_the_model_requires():
    """The carried modules import exactly the distributions of the model's requirements."""
    imported = set()
    for source in carried(SERVED).values():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
            elif isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
    assert imported - set(sys.stdlib_module_names) - {"pipeline"} == set(REQUIREMENTS)


def test_only_what_predicts_is_carried():
    """The carried modules have the network's layers, but not training, datasets or the report."""
    folders = {path.rpartition("/")[0] for path in carried(SERVED)}
    assert folders == {"", "data", "estimator", "model", "nn"}
    assert not {"data/dataset.py", "model/best.py", "nn/optimizers.py", "study/hparams.py"} & set(carried(SERVED))


def test_the_package_is_found_next_to_another_pipeline(tmp_path):
    """The package can be imported next to a user's package ``pipeline``, and imports nothing from it."""
    package, loader = write_package(SERVED, tmp_path)
    assert loader == f"{package.name}.model.serving"
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("OWN = True")
    script = f"import pipeline, sys, {loader}; print(sorted(m for m in sys.modules if m.startswith('pipeline')))"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    shown = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    assert shown.stdout.strip() == "['pipeline']"


def test_the_same_code_has_the_same_name(tmp_path):
    """The name depends only on the code."""
    names = {write_package(SERVED, tmp_path / folder)[0].name for folder in "ab"}
    assert len(names) == 1

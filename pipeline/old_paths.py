"""The import paths of version 0.1: they work for one release, with a warning."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "pipeline.spec": "pipeline.study.spec",
    "pipeline.space": "pipeline.study.space",
    "pipeline.hparams": "pipeline.study.hparams",
    "pipeline.experiment": "pipeline.study.experiment",
    "pipeline.babysitting": "pipeline.diagnosis",
    "pipeline.babysitting.evidence": "pipeline.diagnosis.evidence",
    "pipeline.babysitting.facts": "pipeline.diagnosis.trial_facts",
}


class OldPaths(MetaPathFinder, Loader):
    """Finds a module under its old path; it has the names of the module at the new path."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the specification of a module that has moved; None for any other."""
        if fullname not in MOVED:
            return None
        return ModuleSpec(fullname, self, is_package=fullname == "pipeline.babysitting")

    def exec_module(self, module: ModuleType) -> None:
        """Copy the names of the new module, and warn."""
        new = import_module(MOVED[module.__name__])
        names = {name: value for name, value in vars(new).items() if not name.startswith("__")}
        vars(module).update(names)
        if module.__name__ != "pipeline.babysitting":
            warnings.warn(
                f"{module.__name__} has moved: import from pipeline, as in `from pipeline import Study`. "
                "The old path is removed in the next release",
                FutureWarning,
                stacklevel=2,
            )


def install() -> None:
    """Make Python find the old paths; a second call does nothing."""
    if not any(isinstance(finder, OldPaths) for finder in sys.meta_path):
        sys.meta_path.append(OldPaths())

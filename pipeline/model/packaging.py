"""The code that a registered model carries: a module and its imports, in a package with a unique name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The package whose modules are carried. It is not published, so it cannot be installed where a model is served."""
IMPORT = re.compile(rf"^(\s*(?:from|import) ){ROOT.name}\b", re.MULTILINE)


def write_package(module: str, folder: Path) -> tuple[Path, str]:
    """Copy a module of this package, with all that it imports, into a new package in ``folder``.

    The name of the new package contains a hash of its files, so it differs from that of every other model's package.
    Returns its folder, and the new name of the module.
    """
    sources = carried(module)
    digest = sha256("".join(f"{path}\n{text}" for path, text in sorted(sources.items())).encode()).hexdigest()
    name = f"babysit_model_{digest[:12]}"
    for path, text in sources.items():
        target = folder / name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(IMPORT.sub(rf"\g<1>{name}", text), encoding="utf-8")
    return folder / name, module.replace(ROOT.name, name, 1)


def carried(module: str) -> dict[str, str]:
    """Return the sources of a module and of all that it imports, by their path in the package.

    The ``__init__.py`` of a folder is empty unless something is imported from it.
    """
    waiting, sources = [module], dict[str, str]()
    while waiting:
        path = _file_of(waiting.pop())
        if path not in sources:
            sources[path] = (ROOT / path).read_text(encoding="utf-8")
            waiting += _imports(sources[path])
    folders = {parent for path in sources for parent in Path(path).parents}
    return {(folder / "__init__.py").as_posix(): "" for folder in folders} | sources


def _imports(source: str) -> Iterator[str]:
    """Yield the modules of this package that a source imports, at its top or in a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == ROOT.name:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if (ROOT / _file_of(inner)).is_file() else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == ROOT.name)


def _file_of(module: str) -> str:
    """Return the path of a module in the package: a file, or the ``__init__.py`` of a folder."""
    path = "/".join(module.split(".")[1:])
    if (ROOT / path).is_dir():
        return f"{path}/__init__.py".lstrip("/")
    return f"{path}.py"

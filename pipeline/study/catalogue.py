"""The files of studies and suites that have a name: where they are, and what they ask. It loads nothing else, so that ``--help`` is quick."""

from __future__ import annotations

import ast
from pathlib import Path

import pipeline

FOLDERS = (Path("studies"), Path(pipeline.__file__).parents[1] / "studies")
"""The folders in which names are looked up, in this order."""

LONGEST_PATH = 255
"""The most characters of the name of a study or of its file."""


def named_file(name: str) -> Path | None:
    """Return the file of that name in a ``studies`` folder or, if there is none, in the current folder."""
    if len(name) > LONGEST_PATH:
        return None
    files = [folder / f"{name}.py" for folder in (*FOLDERS, Path())]
    return next((file for file in files if file.is_file()), None)


def study_names() -> list[str]:
    """Return the names of the files in the ``studies`` folders."""
    return sorted({path.stem for folder in FOLDERS for path in folder.glob("*.py") if not path.stem.startswith("_")})


def questions() -> dict[str, str]:
    """Return the question of each study and suite in the ``studies`` folders, by its name. No file is run, and none is refused."""
    found = {name: _question(file) for name in study_names() if (file := named_file(name))}
    return {name: question for name, question in found.items() if question}


def _question(file: Path) -> str:
    """Return the question of a study or, marked, of a suite: ``STUDY = Study(..., question="...")``; empty for others."""
    try:
        statements = ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return ""
    for statement in statements:
        match statement:
            case ast.Assign(
                targets=[ast.Name("STUDY" | "SUITE")],
                value=ast.Call(func=ast.Name("Study" | "Suite" as kind), keywords=keywords),
            ):
                for keyword in keywords:
                    match keyword:
                        case ast.keyword("question", ast.Constant(str(question))):
                            return f"{question} (a suite)" if kind == "Suite" else question
    return ""

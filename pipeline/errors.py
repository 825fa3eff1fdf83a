"""The two exceptions that are not bugs: a mistake of the user, and a job that failed; and an error in one line."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake of the user. The message is one line: where it is, what is wrong, and the remedy.

    Code that imports the package can catch it as a ``ValueError``. Any other exception is a bug.
    """


class Failed(Exception):  # noqa: N818  a result, not an error of the program
    """The job ran and failed; the message is the reason."""


def one_line(error: BaseException) -> str:
    """Return the type and the message of an error in one line; the message of a user's class may not exist."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001  a user's class may raise anything
        message = "(its message cannot be shown)"
    return " ".join(f"{type(error).__name__}: {message}".split()).removesuffix(":")

"""The two exceptions that are not bugs: a mistake of the user, and a job that failed."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake of the user. The message is one line: where it is, what is wrong, and the remedy.

    Code that imports the package can catch it as a ``ValueError``. Any other exception is a bug.
    """


class Failed(Exception):  # noqa: N818  a result, not an error of the program
    """The job ran and failed; the message is the reason."""

"""The two ways in which a command ends badly without a bug: the user's mistake, and a job that failed."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake of the user: the message is one line that names what is wrong, where, and the remedy.

    It is a ``ValueError``, so that whoever uses the package as a library can catch that. Any other exception is a bug.
    """


class Failed(Exception):  # noqa: N818  it is a result, and no error of the program
    """The job ran and came to nothing; the reason is its message."""

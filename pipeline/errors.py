"""How a job can end badly without anybody's mistake."""


class Failed(Exception):  # noqa: N818  it is a result, and no error of the program
    """The job ran and came to nothing; the reason is its message."""

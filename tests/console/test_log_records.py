"""The log records of libraries on standard error."""

import logging

from pipeline.console.log_records import log_to_stderr, quiet_loggers


def test_records_below_warnings_are_shown_only_on_request(loggers, capsys):
    """A library's records up to INFO are dropped, and after ``log_to_stderr`` written on one line each; warnings are always kept."""
    logger = logging.getLogger("optuna")
    quiet_loggers("optuna")
    assert (logger.isEnabledFor(logging.INFO), logger.isEnabledFor(logging.WARNING)) == (False, True)
    log_to_stderr()
    quiet_loggers("optuna")
    logger.info("two\nlines")
    assert capsys.readouterr().err == "  optuna: two lines\n"

"""The results of the checks: how they are listed."""

from pipeline.checks import CheckResult, markdown_table


def test_results_are_rows_of_a_markdown_table():
    """Each result is one row with its status, and bars in a message are escaped."""
    results = [
        CheckResult("a", True, "x|y"),
        CheckResult("bb", False, "bad", "do so"),
        CheckResult("c", True, "m", "hm"),
    ]
    assert markdown_table(results).splitlines() == [
        "| result | check | observed | advice |",
        "| --- | --- | --- | --- |",
        "| ok | a | x\\|y |  |",
        "| FAILED | bb | bad | do so |",
        "| advice | c | m | hm |",
    ]

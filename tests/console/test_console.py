"""Verbosity: --quiet prints results only, --verbose prints details, for every verb."""

import io
import re
import signal
import subprocess
import sys

import pytest
from rich.console import Console as RichConsole

from pipeline.cli.arguments import VERBS
from pipeline.cli.main import main
from pipeline.console.console import Console, Verbosity
from pipeline.console.progress import Progress
from pipeline.study.loading import find_study
from pipeline.trials.trial import FinishedTrial, PlannedTrial, TrialResult


def printed(words, capsys):
    """The lines that a successful command prints."""
    capsys.readouterr()
    assert main(words) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("verb", VERBS)
def test_quiet_and_verbose_exclude_each_other(verb, capsys):
    """Every verb refuses both flags at once in one line."""
    with pytest.raises(SystemExit) as leave:
        main([verb, "--quiet", "--verbose"])
    (line,) = capsys.readouterr().err.splitlines()
    assert leave.value.code == 2
    assert line == f"error: argument -v/--verbose: not allowed with argument -q/--quiet. See babysit {verb} --help"


def test_each_verbosity_prints_more_than_the_one_below(capsys):
    """Results are always printed, progress unless quiet, details if verbose."""
    for verbosity in Verbosity:
        console = Console(verbosity)
        console.detail("detail")
        console.say("progress")
        console.result("result")
        with console.timed("phase"):
            pass
        lines = capsys.readouterr().out.splitlines()
        assert [line for line in lines if "took" not in line] == ["detail", "progress", "result"][2 - verbosity :]
        assert ("  phase took 0.0 s" in lines) == console.verbose


def test_a_phase_is_seen_to_go_on():
    """On a terminal a phase has a spinner, its count and its time, and lines are printed above; elsewhere and if quiet, nothing."""
    for terminal, verbosity in ((True, Verbosity.NORMAL), (False, Verbosity.NORMAL), (True, Verbosity.QUIET)):
        output = RichConsole(file=io.StringIO(), force_terminal=terminal, width=60)
        console = Console(verbosity, output)
        with console.working("confirm", 3) as advance:
            advance(2)
            console.result("a line")
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.file.getvalue())
        if terminal and verbosity:
            assert "a line\n" in text
            assert re.search(r"confirm 2/3 0:00:0\d", text)
        else:
            assert text == "a line\n"


def test_quiet_prints_results_alone(tiny_study, tmp_path, capsys):
    """A search prints nothing, a report its verdicts and page, a refinement a file that declares its study."""
    tiny_study.write_text(tiny_study.read_text().replace("blocks=2", "blocks=1, confirm=0"))
    assert printed(["search", str(tiny_study), "--workers", "1", "--quiet"], capsys) == []
    *verdicts, page = printed(["report", str(tiny_study), "--no-model", "--quiet"], capsys)
    assert [verdict.startswith("report: ") for verdict in verdicts] == [True, True]  # one for each contrast
    assert page == f"page: {tmp_path / 'reports' / 'tiny' / 'report.html'}"
    (tmp_path / "fine.py").write_text("\n".join(printed(["refine", str(tiny_study), "--quiet"], capsys)))
    assert find_study("fine.py", {}).name == "tiny.stage2"


def test_quiet_prints_the_result_of_one_trial(tracking_uri, capsys):
    """Training one configuration prints its scores, diagnosis and figures; a passed check prints nothing."""
    scores, diagnosis, figures = printed(["train", "random_vs_grid", "--epochs", "2", "-q"], capsys)
    assert "best/val_accuracy" in scores
    assert diagnosis.startswith("diagnosis: ")
    assert figures.startswith("figures: ")
    assert printed(["check", "random_vs_grid", "-q"], capsys) == []


def test_quiet_keeps_errors(tmp_path, monkeypatch, capsys):
    """Errors are printed on standard error with --quiet too."""
    monkeypatch.chdir(tmp_path)
    assert main(["search", "nothing", "--quiet"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown study 'nothing'")


def test_verbose_prints_details(loggers, tiny_study, tmp_path, capsys):
    """Details are stores, rules, groups, the route and times; library records go to standard error."""
    words = ["search", str(tiny_study), "--workers", "1", "--blocks", "1", "--verbose"]
    assert main(words) == 0
    done = capsys.readouterr()
    for part in (
        f"stores: MLflow sqlite:///{tmp_path / 'mlflow.db'}, Optuna {tmp_path / 'optuna.log'}",
        "study: tiny, ",
        "  diagnosed by 24 built-in rules; installed rules: none",
        "  recorded in MLflow in bulk",
        "  groups: ",
        "  search took ",
        "search: 18 of 18 trials to train, 1 worker",
    ):
        assert part in done.out
    assert "A new study created in Journal with name: tiny/random/b00" in done.err
    assert "in memory" not in done.err


def test_a_quiet_lecture_prints_its_table(tracking_uri, capsys):
    """A quiet lecture experiment prints one row of its table, and how many experiments are reproduced."""
    head, row, last = printed(["lecture", "preprocessing", "--quiet"], capsys)
    assert head.startswith("experiment ")
    assert row.startswith("lecture_preprocessing ")
    assert last == "1 of 1 experiments reproduced"


@pytest.mark.slow
def test_quiet_dashboards_print_their_addresses(tiny_study, tmp_path):
    """Quiet dashboards print two lines, each with an address, until they are stopped."""
    assert main(["search", str(tiny_study), "--workers", "1", "--quiet"]) == 0
    command = [sys.executable, "-m", "pipeline", "ui", "--quiet"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert [re.sub(r"\d+$", "N", line.strip()) for line in lines] == [
        "MLflow UI         http://127.0.0.1:N",
        "Optuna Dashboard  http://127.0.0.1:N",
    ]
    assert rest == ""


@pytest.mark.parametrize("no_color", [False, True])
def test_no_color_is_respected(no_color, tiny_study, monkeypatch):
    """The live display of a search has colours only without NO_COLOR."""
    monkeypatch.setenv("NO_COLOR", "1") if no_color else monkeypatch.delenv("NO_COLOR", raising=False)
    shown = io.StringIO()
    console = Console(terminal=RichConsole(file=shown, force_terminal=True, color_system="standard", width=80))
    study = find_study(str(tiny_study), {})
    scores = {"best/val_accuracy": 0.5}
    trial = PlannedTrial("random", "random", 0, 0, {}, study.hyperparams({}))
    result = TrialResult({}, scores, False, 1, 0.1, 0.0, 1, 1, "", "")
    with Progress(study, [], console.display) as progress:
        progress.count(FinishedTrial(trial, result))
    assert "random" in shown.getvalue()
    assert bool(re.search(r"\x1b\[(\d+;)*(3[0-8]|9[0-7])[;m]", shown.getvalue())) != no_color

"""Installed rules: loaded in a fixed order, applied to every trial, and unable to stop one."""

import sys

import pytest
from joblib.externals.loky import get_reusable_executor
from mlflow import MlflowClient

from pipeline.cli.main import main
from pipeline.diagnosis.diagnose import diagnose, health
from pipeline.diagnosis.evidence import Evidence
from pipeline.diagnosis.plugins import MAX_LENGTH, InstalledRule, check_finding, load_rules
from pipeline.diagnosis.trial_facts import RULE_FAILED, Facts, Finding
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study

FALLING = [2.3 * 0.7**epoch for epoch in range(20)]
HEALTHY = {"train/loss": FALLING, "val/loss": FALLING, "train/accuracy": [0.95] * 20, "val/accuracy": [0.94] * 20}
RULES = """
from pipeline import Finding


def too_short(e):
    return Finding("too-short", f"only {e.epochs} epochs", "train longer") if e.epochs < 30 else None


def broken(e):
    return 1 / 0


def of_two(e, other):
    return None
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that installs a distribution of rules, as pip would, on the path of this process and its children."""
    site = tmp_path / "site"

    def _install(distribution, module, points, source=RULES):
        info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        listed = "".join(f"{name} = {value}\n" for name, value in points.items())
        (info / "entry_points.txt").write_text(f"[babysit.diagnosis]\n{listed}")
        (site / f"{module}.py").write_text(source)
        monkeypatch.setenv("PYTHONPATH", str(site), prepend=":")
        monkeypatch.syspath_prepend(site)

    load_rules.cache_clear()
    yield _install
    load_rules.cache_clear()
    get_reusable_executor().shutdown(wait=True)  # its processes would still have the rules in later tests
    for name in ("acme_rules", "zeta_rules"):
        sys.modules.pop(name, None)


def test_without_plugins_there_are_no_installed_rules():
    """Without an installed distribution the list is empty."""
    load_rules.cache_clear()
    assert load_rules() == ()


def test_rules_come_in_the_order_of_their_names(install):
    """They are sorted by distribution, then by entry point, and loaded once."""
    install("zeta-rules", "zeta_rules", {"a": "zeta_rules:too_short"})
    install("acme-rules", "acme_rules", {"second": "acme_rules:broken", "first": "acme_rules:too_short"})
    rules = load_rules()
    assert [rule.name for rule in rules] == [
        "'first' of acme-rules 1.0",
        "'second' of acme-rules 1.0",
        "'a' of zeta-rules 1.0",
    ]
    assert load_rules() is rules


@pytest.mark.parametrize(
    ("value", "source", "says"),
    [
        ("nowhere:rule", "", "ModuleNotFoundError: No module named 'nowhere'"),
        ("acme_rules:missing", RULES, "AttributeError: module 'acme_rules' has no attribute 'missing'"),
        ("acme_rules:of_two", RULES, "TypeError: missing a required argument: 'other'"),
        ("acme_rules:Finding.code", "from pipeline.diagnosis.trial_facts import Finding", "AttributeError"),
        ("acme_rules:rule", "raise SystemExit('no licence')", "SystemExit: no licence"),
        ("acme_rules:rule", "rule = 3", "TypeError: 3 is not a callable object"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "search", "train"])
def test_a_broken_plugin_is_named_before_anything_is_written(verb, value, source, says, install, tmp_path, capsys):
    """One line has the entry point, its distribution and the reason; exit code 2, and no file."""
    install("acme-rules", "acme_rules", {"mine": value}, source)
    before = sorted(tmp_path.rglob("*"))
    stores = ["--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db", "--storage", f"{tmp_path}/optuna.log"]
    assert main([verb, "quick", *stores]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: the diagnosis rule 'mine' of acme-rules 1.0, {value}, cannot be used: {says}")
    assert line.endswith("Fix it, or uninstall it")
    assert [path for path in sorted(tmp_path.rglob("*")) if "__pycache__" not in path.parts] == before


def test_built_in_rules_come_first():
    """An installed rule decides the health only if no built-in rule has a finding; both findings are kept."""
    rule = InstalledRule("'mine'", lambda _: Finding("mine", "said", "do"))
    assert health(diagnose(HEALTHY, Facts(10), (rule,))) == "mine"
    still = {**HEALTHY, "train/loss": [2.3] * 20, "val/loss": [2.3] * 20, "val/accuracy": [0.1] * 20}
    found = [finding.code for finding in diagnose(still, Facts(10), (rule,))]
    assert found[0] == "barely-moves"
    assert found[-1] == "mine"


def fails(_: Evidence):
    """A rule that raises an error."""
    return 1 / 0


def exits(_: Evidence):
    """A rule that exits."""
    raise SystemExit(3)


def returns_text(_: Evidence):
    """A rule that returns a text."""
    return "bad"


@pytest.mark.parametrize("rule", [fails, exits, returns_text])
def test_a_rule_that_fails_is_a_finding(rule):
    """The failure is the last finding, after those of the other installed rules."""
    other = InstalledRule("'other'", lambda _: Finding("other", "said", "do"))
    found = diagnose(HEALTHY, Facts(10), (InstalledRule("'mine' of acme-rules 1.0", rule), other))
    assert [finding.code for finding in found] == ["other", RULE_FAILED]
    assert found[-1].sentence.startswith("the rule 'mine' of acme-rules 1.0 failed: ")


def test_a_rule_cannot_change_what_is_recorded():
    """A rule gets a copy of the curves."""
    curves = {key: list(values) for key, values in HEALTHY.items()}
    diagnose(curves, Facts(10), (InstalledRule("'mine'", lambda e: e.train_loss.clear()),))
    assert curves == HEALTHY


@pytest.mark.parametrize("code", ["", "good", RULE_FAILED, "Two words", "a/b", "x" * 41])
def test_a_code_must_fit_tags_and_metrics(code):
    """A reserved code, or one that MLflow cannot filter by, is refused."""
    with pytest.raises(ValueError, match="its code is"):
        check_finding(Finding(code, "said", "do"))


def test_a_long_sentence_is_cut():
    """A sentence is cut to the length that stores accept."""
    assert len(check_finding(Finding("long", "x" * 10_000, "")).sentence) == MAX_LENGTH


def test_findings_of_installed_rules_are_recorded(install, tiny_study, tmp_path, tracking_uri):
    """Worker processes apply them, and MLflow, Optuna, the summary and the report have their findings and failures."""
    install("acme-rules", "acme_rules", {"short": "acme_rules:too_short", "zero": "acme_rules:broken"})
    tiny_study.write_text(tiny_study.read_text().replace("blocks=2", "blocks=1, confirm=0"))
    assert main(["search", str(tiny_study), "--workers", "2"]) == 0
    client = MlflowClient(tracking_uri=tracking_uri)
    experiments = [e.experiment_id for e in client.search_experiments()]
    runs = client.search_runs(experiments, "tags.kind = 'trial'", max_results=100)
    assert {run.data.tags["finding/rule-failed"] for run in runs} == {
        "the rule 'zero' of acme-rules 1.0 failed: ZeroDivisionError: division by zero"
    }
    finished = [run for run in runs if run.data.tags["diverged"] == "False"]
    assert {run.data.tags["finding/too-short"] for run in finished} == {"only 2 epochs"}
    short = sum(run.data.tags["health"] == "too-short" for run in runs)
    assert short > 0
    trials = OptunaStore(find_study(str(tiny_study), {}), str(tmp_path / "optuna.log")).table()
    assert len(trials) == len(runs) == 18
    assert sum(trials["health"] == "too-short") == short
    assert trials["diagnosis"].str.contains("the rule 'zero' of acme-rules 1.0 failed").all()
    install("zeta-rules", "zeta_rules", {"broken": "nowhere:rule"})
    load_rules.cache_clear()
    assert main(["report", str(tiny_study), "--no-model"]) == 0, "what is recorded is reported without any rule"
    (parent,) = client.search_runs(experiments, "tags.kind = 'study'")
    assert parent.data.metrics["health/too-short"] == short
    assert "too-short" in (tmp_path / "reports" / "tiny" / "report.html").read_text()

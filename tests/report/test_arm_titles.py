"""Arms have titles in sentences and labels in plots."""

from pipeline.report.arm_titles import label, title
from pipeline.study.spec import Arm


def test_a_known_sampler_has_a_title_unless_the_study_names_its_arm():
    """The title of a grid has an article, which its label leaves out; a name of the study's own is kept."""
    arms = (Arm("random"), Arm("grid"), Arm("mine", "random"))
    assert [title(arm) for arm in arms] == ["random search", "the textbook grid", "mine"]
    assert [label(arm) for arm in arms] == ["random search", "textbook grid", "mine"]

"""Reasons to withhold a verdict, and notes next to it: each broken table has its sentence."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from synthetic import SPACE, bowl, make_frame, make_study, make_table

from pipeline.report import validity
from pipeline.report.analysis import Analysis
from pipeline.report.sentences import sentences
from pipeline.report.trials_table import TrialsTable
from pipeline.study.spec import Arm, Categorical, Float, SearchSpace

TWO = (Arm("random"), Arm("shifted_grid"))


def obstacles(found):
    """The reasons to withhold the verdict of each contrast."""
    return [reason for pair in found.study.compared for reason in validity.obstacles(found.table, found.pools, pair)]


def analysis(frame=None, study=None, provenance=None):
    """The analysis of a frame."""
    study = study or make_study(arms=TWO)
    return Analysis(TrialsTable(make_frame(study) if frame is None else frame, study, provenance or {}))


def changed(change, **options):
    """The analysis of a good frame after a change."""
    study = make_study(**{"arms": TWO, **options})
    return analysis(change(make_frame(study)), study)


def test_a_sound_table_has_no_obstacle_and_no_note():
    """Without a fault there is neither."""
    sound = analysis()
    assert (obstacles(sound), sound.notes) == ([], [])


def half_the_grid(frame):
    """The grid has half of its trials."""
    return frame[(frame["arm"] == "random") | (frame["trial"] < 18)]


def diverged(frame, arm="random"):
    """A third of one arm's trials diverged."""
    lost = (frame["arm"] == arm) & (frame["trial"] % 3 == 0)
    return frame.assign(
        diverged=frame["diverged"] | lost, **{"best/val_accuracy": frame["best/val_accuracy"].where(~lost, 0.1)}
    )


def constant(frame):
    """Every trial scores the same."""
    return frame.assign(**{"best/val_accuracy": 0.9, "test/accuracy": 0.9})


@pytest.mark.parametrize(
    ("arm", "shares"),
    [
        ("random", "33.3% of random search, 0.0% of the shifted grid"),
        ("shifted_grid", "0.0% of random search, 33.3% of the shifted grid"),
    ],
)
def test_divergence_is_an_outcome_and_a_note(arm, shares):
    """A third of one arm's trials diverged: the verdict stands, since each counts as a guess, and a note has the shares."""
    found = changed(lambda frame: diverged(frame, arm))
    assert found.verdict.rule > 1
    assert found.notes == [
        f"The shares of diverged trials differ: {shares}. A diverged trial counts as a guess, so this is part of the outcome."
    ]
    both = changed(lambda frame: diverged(diverged(frame), "shifted_grid"))
    assert both.notes == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (half_the_grid, "the budgets are unequal: random search 36 and the shifted grid 18 trials in a block"),
        (lambda f: f[f["trial"] < 20], "20 of 36 declared trials of a block are recorded"),
        (lambda f: f[(f["arm"] == "random") | (f["block"] < 8)], "8 of 10 declared blocks have both arms"),
        (
            lambda f: f[(f["arm"] == "random") | (f["trial"] < 35)],
            "the budgets are unequal: random search 36 and the shifted grid 35 trials in a block",
        ),
        (constant, "every trial scored the same (90.0%)"),
    ],
)
def test_an_invalid_comparison_withholds_the_verdict(change, reason):
    """Each reason is named, and no arm leads."""
    found = changed(change)
    assert found.verdict.rule == 1
    assert found.verdict.leader is None
    assert reason in found.verdict.sentence


def test_a_missing_arm_is_named():
    """A missing arm of the contrast withholds the verdict; another one is noted."""
    alone = changed(lambda f: f[f["arm"] == "random"])
    assert alone.verdict.sentence == ("Verdict withheld: the shifted grid has no trials.")
    third = changed(lambda f: f[f["arm"] != "grid"], arms=(*TWO, Arm("grid")))
    assert third.verdict.rule > 1
    assert third.notes == ["Arm 'grid' was declared but has no trials."]


def test_arms_without_a_common_block_cannot_be_compared():
    """Blocks 0 to 4 of one arm and 5 to 9 of the other make no pairs."""
    apart = changed(lambda f: f[(f["arm"] == "random") == (f["block"] < 5)])
    assert "0 of 10 declared blocks have both arms" in apart.verdict.sentence


@pytest.mark.parametrize("blocks", [1, 3, 5])
def test_too_few_blocks_have_no_verdict(blocks):
    """Below six blocks the verdict says so, and the sentences after it are complete."""
    few = analysis(study=make_study(arms=TWO, blocks=blocks))
    assert few.verdict.label == "too few repeats"
    assert all("nan" not in sentence for sentence in sentences(few))


def test_one_arm_is_reported_alone():
    """A study of one arm has its best trial and nothing to compare."""
    alone = analysis(study=make_study(arms=(Arm("random"),)))
    assert alone.verdict.label == "nothing to compare"
    assert obstacles(alone) == []
    assert "The best of 360 trials of random search, random-b0" in alone.verdict.sentence


def declarations(*changes):
    """The provenance of a study that was declared once for each change, with the differences from the study now."""
    study = make_study(arms=TWO)
    now = {"at": "2026-01-01T12:00:00+00:00", "after": 0, "hash": study.hash, **study.terms}
    return {"declarations": [{**now, **change} for change in changes]}


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ({"hash": "0123456789ab"}, "the trials belong to declaration 0123456789ab, not to "),
        ({"trials": 12}, "the budget was changed from 12 to 36 trials after the declaration"),
        ({"confirm": 3}, "confirm was changed from 3 to 0 after the declaration"),
        ({"delta": 0.05}, "the difference that matters was changed from 5 to 0.5 points after the declaration"),
        (
            {"contrasts": [["grid", "random"]]},
            "random against shifted_grid was not declared before the trials (declared: grid against random)",
        ),
    ],
)
def test_a_changed_declaration_withholds_the_verdict(before, reason):
    """Trials of another hash, or a budget, a delta or a contrast changed after the declaration, withhold the verdict."""
    found = analysis(provenance=declarations(before, {}))
    assert found.verdict.label == "withheld"
    assert reason in found.verdict.sentence


def test_a_declaration_of_one_arm_does_not_bind():
    """It can have no verdict, so the next declaration binds, and the first is noted as a pilot."""
    found = analysis(provenance=declarations({"contrasts": []}, {}))
    assert obstacles(found) == []
    assert found.notes[0].startswith("A pilot of 10 blocks of 36 trials for each arm came before")


def test_a_declaration_that_stands_is_no_obstacle():
    """A study whose first declaration still holds has no obstacle and no note."""
    found = analysis(provenance=declarations({}, {"trials": 12}, {}))
    assert (obstacles(found), found.notes) == ([], [])


def test_a_pilot_is_noted():
    """Blocks below the first look cannot have a verdict, so their declaration does not bind."""
    found = analysis(provenance=declarations({"blocks": 2, "trials": 12}, {}))
    assert found.verdict.rule > 1
    assert found.notes == [
        "A pilot of 2 blocks of 12 trials for each arm came before the declaration; its trials are included here.",
    ]


def test_a_contrast_that_was_not_declared_is_withheld_alone():
    """A third arm that was added after the trials has no verdict; the contrast that was declared keeps its whole error."""
    study = make_study()
    declared = {"at": "2026-01-01T12:00:00+00:00", "after": 0, "hash": study.hash, **study.terms}
    declared["contrasts"] = [["random", "grid"]]
    found = analysis(study=study, provenance={"declarations": [declared]})
    withheld, judged = found.verdicts
    assert withheld.label == "withheld"
    assert (
        "random against shifted_grid was not declared before the trials (declared: random against grid); a study started "
        "with --new declares it" in withheld.sentence
    )
    assert judged.label == "ahead"
    alone = analysis(
        study=make_study(arms=(Arm("random"), Arm("grid"))), frame=found.table.frame.query("arm != 'shifted_grid'")
    )
    assert judged.interval == alone.verdict.interval


def test_a_contrast_that_was_declared_the_other_way_round_stands():
    """The order of the two arms is no change."""
    assert obstacles(analysis(provenance=declarations({"contrasts": [["shifted_grid", "random"]]}))) == []


def old_terms(**changes):
    """The provenance of a study that an older version declared, with two arms to compare and no looks."""
    (now,) = declarations(changes)["declarations"]
    contrast = now.pop("contrasts")[0]
    del now["looks"], now["confirm"]
    return {"declarations": [{**now, "contrast": contrast}]}


def test_a_study_of_an_older_version_is_judged_by_the_new_rules():
    """It has one look after its blocks, needs no repetitions, and a note says so."""
    found = analysis(study=make_study(arms=TWO, confirm=5), provenance=old_terms())
    assert [look.blocks for look in found.verdict.looks] == [10]
    assert found.notes == [
        (
            "This study was recorded by a version with other rules. It is judged by today's: one look after 10 blocks, and the "
            "expected accuracy of the choice."
        )
    ]


def test_blocks_that_were_added_to_an_old_study_are_not_in_its_verdict():
    """An older study of six declared blocks is judged by its first six, and the others are noted."""
    found = analysis(provenance=old_terms(blocks=6))
    assert [look.blocks for look in found.verdict.looks] == [6]
    assert [note.partition(",")[0] for note in found.notes[1:]] == ["10 blocks are recorded"]


def test_changed_looks_are_noted_and_the_declared_ones_count():
    """A study that declared looks after 7 and 14 blocks is judged by them, whatever it asks now."""
    found = analysis(provenance=declarations({"looks": [7, 14]}))
    assert [look.blocks for look in found.verdict.looks] == [7]
    assert (
        found.notes[0]
        == "The looks were changed from 7 and 14 to 10 blocks after the declaration; those declared count."
    )


@pytest.mark.parametrize(("blocks", "noted"), [(10, False), (11, True), (20, False), (23, True)])
def test_blocks_beyond_a_look_are_noted_as_exploratory(blocks, noted):
    """They are in the figures and not in the verdict, which a note says; after exactly a look there is none."""
    found = analysis(study=make_study(arms=TWO, blocks=blocks, looks=(10, 20)))
    look = blocks // 10 * 10
    assert [seen.blocks for seen in found.verdict.looks][-1] == look
    assert [note.split(". ")[0] for note in found.notes] == (
        [f"{blocks} blocks are recorded, and the last look was after {look}"] if noted else []
    )


def test_fewer_blocks_than_the_first_look_have_no_note():
    """Before the first look there is nothing to explore."""
    assert analysis(study=make_study(arms=TWO, blocks=8, looks=(10, 20))).notes == []


def repeated(lost):
    """The analysis of six blocks whose choices are trained again three times, without the repetitions that ``lost`` names."""
    table = make_table(arms=TWO, blocks=6, repetitions=3)
    again = table.confirmations
    return Analysis(replace(table, confirmations=again[~lost(again)]))


def test_a_block_counts_once_its_choices_are_trained_again():
    """If a repetition of the last block is missing, the verdict waits for it and says so."""
    assert repeated(lambda rows: rows["block"] < 0).verdict.rule > 1
    found = repeated(lambda rows: (rows["block"] == 5) & (rows["repetition"] == 3) & (rows["arm"] == "random"))
    assert validity.complete_blocks(found.table, found.pools, found.study.headline) == 5
    assert found.verdict.sentence == (
        "Verdict withheld: the choices of 1 of 6 blocks are not trained again yet; run the same command to train them."
    )


def test_without_any_repetition_a_study_that_declares_them_has_no_verdict():
    """None of its blocks is complete, unless an older version recorded it."""
    found = analysis(study=make_study(arms=TWO, confirm=5))
    assert found.verdict.sentence.startswith(
        "Verdict withheld: the choices of 10 of 10 blocks are not trained again yet"
    )


def test_blocks_are_complete_up_to_the_first_gap():
    """A block that one arm lacks, or that is not whole, ends the count; the other arm's blocks do not matter."""

    def complete(frame):
        found = analysis(frame)
        return validity.complete_blocks(found.table, found.pools, found.study.headline)

    frame = make_frame(make_study(arms=TWO))
    assert complete(frame) == 10
    assert complete(frame[(frame["arm"] == "random") | (frame["block"] != 7)]) == 7
    assert complete(frame[(frame["arm"] == "grid") | (frame["block"] != 4) | (frame["trial"] < 30)]) == 4
    assert complete(frame[frame["block"] > 0]) == 0
    assert complete(frame[frame["arm"] == "random"]) == 0


def test_missing_blocks_after_a_look_are_no_obstacle():
    """Thirteen blocks of a study that is on its way to twenty have the verdict of ten."""
    study = make_study(arms=TWO, blocks=20, looks=(10, 20))
    found = analysis(make_frame(study).query("block < 13"), study)
    assert obstacles(found) == []
    assert [look.blocks for look in found.verdict.looks] == [10]


def test_identical_configurations_are_no_comparison():
    """Two samplers with the same seed that draw the same points have nothing to compare."""
    arms = (Arm("random"), Arm("tpe"))
    study = make_study(arms=arms, trials=10)
    random = make_frame(make_study(arms=arms[:1], trials=10))
    frame = pd.concat([random, random.assign(arm="tpe")], ignore_index=True)
    found = analysis(frame, study)
    assert "both arms tried identical configurations" in found.verdict.sentence
    assert found.notes == [
        "Coupled seeds: the first 10 configurations of random search and TPE are equal in 10 blocks."
    ]


def sequential(study, nesting, trials=None):
    """A frame whose grid is walked in the order of its product, nested in the given order of hyperparameters."""
    frame = make_frame(study)
    grid = study.space.grid()
    walk = pd.DataFrame(itertools.product(*(grid[name] for name in nesting)), columns=list(nesting))
    rows = frame["arm"] == "grid"
    for name in nesting:
        frame.loc[rows, name] = np.tile(walk[name].to_numpy()[: study.trials], study.blocks)
    return frame


@pytest.mark.parametrize("nesting", [tuple(SPACE), tuple(reversed(tuple(SPACE))), tuple(sorted(SPACE))])
def test_a_grid_in_sequence_is_flagged(nesting):
    """A walk in any order of nesting is noted if it is whole, and withholds the verdict if it is cut short."""
    arms = (Arm("random"), Arm("grid"))
    whole = analysis(sequential(make_study(arms=arms), nesting), make_study(arms=arms))
    assert whole.verdict.rule > 1
    assert "The textbook grid was walked in order" in whole.notes[0]
    begun = whole.table.frame
    begun = begun[(begun["block"] < 9) | (begun["trial"] < 3)]  # too few of the last block to know
    assert "was walked in order" in "".join(analysis(begun, make_study(arms=arms)).notes)
    cut = make_study(arms=arms, trials=20)
    assert "walked in order and only in part" in analysis(sequential(cut, nesting), cut).verdict.sentence


@pytest.mark.parametrize(
    "space",
    [
        SearchSpace(learning_rate=Float(1e-4, 10, log=True, levels=12)),
        SearchSpace(hidden=Categorical(*(f"{width}x10" for width in range(10, 90, 10)))),
    ],
)
def test_a_shuffled_grid_of_one_hyperparameter_is_no_sequence(space):
    """Levels in random order are no sequence, although no other hyperparameter steps."""
    line = make_study(space=space, arms=(Arm("random"), Arm("grid")), trials=6)
    frame = make_frame(line, lambda frame, _, rng: rng.uniform(0.5, 0.9, len(frame)))
    assert not any("walked" in reason for reason in obstacles(analysis(frame, line)))


def test_a_repeated_grid_point_is_no_census():
    """Points of a grid that were visited twice are counted in a note."""

    def repeat(frame):
        frame = frame.copy()
        twice = frame.index[(frame["arm"] == "shifted_grid") & (frame["trial"] == 1)]
        frame.loc[twice, list(SPACE)] = frame.loc[twice - 1, list(SPACE)].to_numpy()
        return frame

    assert changed(repeat).notes == [
        "10 trials of the shifted grid repeated a grid point, so its curve does not count each point once."
    ]


def test_a_win_in_every_block_is_no_certainty():
    """Ten wins of ten give a probability of 1 whose interval reaches down to 0.69."""
    table = make_table(lambda f, s, r: bowl(f, s, r) - 0.2 * (len(set(f["l2"])) < 5), arms=TWO)
    interval = Analysis(table).improvement.interval
    assert (interval.estimate, interval.high) == (1, 1)
    assert interval.low == pytest.approx(0.6915, abs=1e-4)


def test_equal_beginnings_that_chance_explains_are_not_called_coupled():
    """In a space with one configuration two samplers begin alike in every block."""
    study = make_study(arms=TWO)
    frame = make_frame(study)
    same = {name: frame[name].iloc[0] for name in study.space}
    assert not any("Coupled" in note for note in obstacles(analysis(frame.assign(**same), study)))
    assert not any("Coupled" in note for note in analysis(frame.assign(**same), study).notes)


def test_several_blas_set_ups_are_noted():
    """Trials that were trained on two BLAS kernels have a note; trials on one have none."""
    (note,) = analysis(provenance={"blas": ["openblas, Haswell", "openblas, Zen"]}).notes
    assert note.startswith("The trials were trained on 2 BLAS set-ups: openblas, Haswell; openblas, Zen.")
    assert analysis(provenance={"blas": ["openblas, Haswell"]}).notes == []


@pytest.mark.parametrize("alike", ["one block", "another order"])
def test_configurations_that_are_alike_in_part_are_compared(alike):
    """Two arms that agree in a single block, or in another order where order matters, are not identical."""
    study = make_study(arms=(Arm("random"), Arm("tpe")), trials=10)
    frame = make_frame(study)
    one, other = (frame[frame["arm"] == name] for name in ("random", "tpe"))
    if alike == "one block":
        first = other["block"] == 0
        points = one.loc[one["block"] == 0, list(SPACE)].set_axis(other.index[first])
        other = pd.concat([other[first].assign(**points), other[~first]])
    else:
        other = one.assign(arm="tpe", trial=9 - one["trial"])
    found = analysis(pd.concat([one, other], ignore_index=True), study)
    assert not any("identical" in reason for reason in obstacles(found))


def test_a_grid_in_sequence_in_one_block_alone_is_not_flagged():
    """A shuffled order can look like a walk by chance, so all blocks must be in sequence."""
    study = make_study(arms=(Arm("random"), Arm("grid")), trials=20)
    shuffled, walk = make_frame(study), sequential(study, tuple(SPACE))
    frame = walk.where(walk["block"] == 0, shuffled).astype(shuffled.dtypes)
    assert "walked" not in "".join([*obstacles(analysis(frame, study)), *analysis(frame, study).notes])


def test_of_pilots_alone_the_last_binds():
    """If no declaration could have a verdict, the last one binds."""
    found = analysis(provenance=declarations({"blocks": 2, "trials": 12}, {"blocks": 5}))
    assert obstacles(found) == []
    assert found.notes[0].startswith("A pilot of 2 blocks of 12 trials for each arm came before")


def test_a_part_of_a_grid_is_noted():
    """If the budget is smaller than the grid, the note has both numbers."""
    found = changed(lambda f: f[f["trial"] < 20], trials=20)
    says = "The shifted grid has 36 points, and a block tries only 20 of them, drawn at random."
    assert says in found.notes


def test_an_arm_outside_of_the_contrast_that_is_not_complete_is_noted():
    """It is no obstacle; the note has the number of its trials."""
    found = changed(
        lambda f: f[(f["arm"] != "grid") | (f["trial"] < 20)],
        arms=(*TWO, Arm("grid")),
        contrasts=(("random", "shifted_grid"),),
    )
    assert obstacles(found) == []
    assert found.notes == ["Arm 'grid' has 20 of 36 declared trials in a block."]

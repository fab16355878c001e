"""Reviewers who sit down at the same time, before any of them has said something."""

import shutil

import pytest

from preflight.review import record


def test_a_verdict_keeps_what_another_reviewer_has_drawn(sit):
    ada, bo = sit("Ada", count=5), sit("Bo", count=9)
    bo.say(bo.order[7], "accept", "")
    ada.say(ada.order[0], "accept", "")

    kept = record.load(ada.path)
    assert kept.sample == bo.order
    assert kept.judged == {bo.order[7], ada.order[0]}


def test_a_larger_sample_is_written_with_its_first_verdict(sit):
    ada = sit("Ada", count=5)
    ada.say(ada.order[0], "accept", "")
    bo = sit("Bo", count=9)
    bo.say(bo.order[7], "accept", "")

    assert record.load(ada.path).sample == bo.order


def test_samples_of_two_seeds_are_not_mixed(sit):
    ada, bo = sit("Ada"), sit("Bo", seed=7)
    bo.say(bo.order[0], "accept", "")

    with pytest.raises(record.RecordError, match="begun with seed 7"):
        ada.say(ada.order[0], "accept", "")
    assert [review.reviewer for review in record.load(ada.path).reviews] == ["Bo"]


def test_a_verdict_is_kept_when_the_runs_folder_is_gone(sit, project):
    desk = sit()
    shutil.rmtree(project.folder / "run")
    desk.say(desk.order[0], "reject", "")

    assert record.load(desk.path).judged == {desk.order[0]}

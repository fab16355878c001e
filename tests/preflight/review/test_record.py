"""The record: what is kept of each verdict, who may add to it, and what a damaged one says."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.config import load_config
from preflight.review import record
from preflight.review.record import File, Record, RecordError, Verdict

DATA = record.data([File(name="train.jsonl", sha256="aa")], ["messages"], None, 100)
EMPTY = Record(data=DATA, seed=0, sample=(4, 2, 7))
NOW = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SAID = st.tuples(st.sampled_from(["Ada", "Bo"]), st.integers(0, 8), st.sampled_from(["accept", "reject", None]), WORDS)


def say(before, who, row, verdict, comment=""):
    said = Verdict(row=row, where=f"train.jsonl:{row + 1}", verdict=verdict, comment=comment, at=NOW)
    return record.give(before, who, said)


def test_the_last_word_of_a_reviewer_counts():
    kept = say(say(EMPTY, "Ada", 4, "accept"), "Ada", 4, "reject", "on second thoughts")

    (review,) = kept.reviews
    assert [(said.row, said.verdict, said.comment) for said in review.verdicts] == [(4, "reject", "on second thoughts")]
    assert kept.judged == {4}


def test_whoever_rejects_a_row_has_rejected_it():
    kept = say(say(say(EMPTY, "Ada", 4, "accept"), "Bo", 4, "reject", "rude"), "Bo", 2, "accept")

    assert kept.judged == {4, 2}
    assert [(who, said.comment) for who, said in kept.rejected[4]] == [("Bo", "rude")]
    assert record.summary(kept) == "2 of 3 rows reviewed, 1 rejected, by Ada and Bo"


def test_a_comment_alone_is_no_verdict():
    kept = say(EMPTY, "Ada", 4, None, "what is this?")

    assert kept.judged == set()
    assert kept.reviews[0].verdicts[0].comment == "what is this?"


def test_it_is_finished_when_nothing_is_left_whoever_did_it():
    kept = say(say(EMPTY, "Ada", 4, "accept"), "Ada", 2, "accept")
    assert kept.reviews[0].finished is None

    kept = say(kept, "Bo", 7, "reject")
    assert [review.finished for review in kept.reviews] == [None, NOW]
    assert say(kept, "Bo", 7, None).reviews[1].finished is None


@given(st.lists(SAID, max_size=12))
def test_a_record_is_read_as_it_was_written(tmp_path_factory, said):
    path = tmp_path_factory.mktemp("record") / "deep" / "config.review.json"
    kept = EMPTY
    for who, row, verdict, comment in said:
        kept = say(kept, who, row, verdict, comment)
        record.save(kept, path)
        assert record.load(path) == kept

    pairs = [(who, verdict.row) for who, verdict in kept.said()]
    assert sorted(pairs) == sorted({(who, row) for who, row, _, _ in said})
    assert [file.name for file in path.parent.glob("*")] == ["config.review.json"] * bool(said)


def test_without_a_file_there_is_no_record(tmp_path):
    assert record.load(tmp_path / "none.json") is None
    assert record.summary(None) == record.summary(EMPTY) == "nothing reviewed yet"


def change(**changes):
    return json.dumps(json.loads(say(EMPTY, "Ada", 4, "accept").model_dump_json()) | changes)


@pytest.mark.parametrize(
    "content, problem",
    [
        pytest.param(b"", "Invalid JSON: EOF while parsing a value at line 1 column 0", id="empty"),
        pytest.param(b'{\n"version": 1,', "Invalid JSON: EOF while parsing a value at line 2 column 13", id="cut off"),
        pytest.param(b"\xff\xfe{", "Invalid JSON", id="not UTF-8"),
        pytest.param(b"[" * 5000, "Invalid JSON: recursion limit exceeded", id="deep"),
        pytest.param(b"[]", "Input should be an object", id="a list"),
        pytest.param(b"{}", "data: Field required", id="nothing in it"),
        pytest.param(change(version=2).encode(), "version: Input should be 1", id="of another version"),
        pytest.param(change(seed="0").encode(), "seed: Input should be a valid integer", id="a seed as text"),
        pytest.param(change(more=1).encode(), "more: Extra inputs are not permitted", id="unknown key"),
        pytest.param(
            change(reviews=[{"reviewer": "A", "started": NOW.isoformat(), "verdicts": [{"verdict": "fine"}]}]).encode(),
            "reviews.0.verdicts.0.row: Field required",
            id="half a verdict",
        ),
    ],
)
def test_a_damaged_record_says_what_is_wrong(tmp_path, content, problem):
    path = tmp_path / "config.review.json"
    path.write_bytes(content)

    with pytest.raises(RecordError) as caught:
        record.load(path)
    assert str(caught.value).startswith(problem)


def test_a_folder_in_its_place_says_so(tmp_path):
    with pytest.raises(RecordError, match="can't be read: Is a directory"):
        record.load(tmp_path)


def test_it_lies_beside_the_config_or_where_the_config_says(project):
    assert record.path_of(load_config(project.write())) == project.folder / "config.review.json"
    project.set(data={"review": "../reviews/tiny.json"})
    assert record.path_of(load_config(project.write())) == project.folder.parent / "reviews" / "tiny.json"

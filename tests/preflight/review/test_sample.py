"""The draw is the same each time and bound to the data; what counts as the same data."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.config import load_config
from preflight.data.prepare import prepare
from preflight.model.tokenizer import load_tokenizer
from preflight.review import record, sample
from preflight.review.record import Data, File

ROWS = st.sets(st.integers(0, 2000), max_size=300).map(sorted)


def data(sha256: str = "aa", rows: int = 100) -> Data:
    return record.data([File(name="train.jsonl", sha256=sha256)], ["messages"], None, rows)


def draw(rows: list[int], count: int, seed: int = 0, of: Data | None = None) -> list[int]:
    return sample.draw(of or data(), seed, np.array(rows, dtype=np.int64), count)


@given(rows=ROWS, count=st.integers(1, 400), seed=st.integers(-(10**9), 10**9))
def test_a_draw_is_of_different_rows_and_goes_on_where_a_smaller_one_ends(rows, count, seed):
    drawn = draw(rows, count, seed)

    assert len(drawn) == len(set(drawn)) == min(count, len(rows))
    assert set(drawn) <= set(rows)
    assert draw(rows, count + 7, seed)[: len(drawn)] == drawn
    assert draw(rows[::-1], count, seed) == drawn


@given(rows=ROWS.filter(len), gone=st.data())
def test_rows_that_are_not_there_change_nothing_about_the_others(rows, gone):
    row = gone.draw(st.sampled_from(rows))
    everything = draw(rows, len(rows))

    assert draw([other for other in rows if other != row], len(rows)) == [other for other in everything if other != row]


def test_a_draw_will_never_change():
    """A record is judged by drawing again, perhaps years later, with other versions of Python and numpy."""
    assert draw(list(range(100)), 8) == [79, 10, 58, 8, 95, 26, 0, 60]


@pytest.mark.parametrize("seed, of", [(1, data()), (0, data("bb"))])
def test_seed_and_data_decide_the_draw(seed, of):
    every = list(range(1000))

    assert draw(every, 50, seed, of) != draw(every, 50)


def test_every_row_is_drawn_as_often_as_any_other():
    counts = np.zeros(20)
    for seed in range(2000):
        counts[draw(list(range(20)), 5, seed)] += 1

    assert counts.min() > 420  # 500 are expected, with a standard deviation of 19
    assert counts.max() < 580


@pytest.fixture
def facts(project, reading) -> Callable[[], tuple[Data, list[int]]]:
    """What the project's rows are drawn from, as it stands."""

    def now() -> tuple[Data, list[int]]:
        config = load_config(project.write())
        prepared = prepare(config, reading)
        return sample.data_of(config, prepared), sorted(sample.rows_of(config, prepared).tolist())

    return now


def hold_out(project):
    del project.config["data"]["validation"]
    return project.set(data={"validation_split": 0.1})


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda p: p.set(training={"learning_rate": 1e-4}), id="learning rate"),
        pytest.param(lambda p: p.set(training={"max_length": 16}), id="max_length"),
        pytest.param(lambda p: p.set(training={"assistant_only_loss": False}), id="what is learned"),
        pytest.param(lambda p: p.set(data={"format": "messages"}), id="the same format by name"),
        pytest.param(lambda p: p.set(data={"validation": "train.jsonl"}), id="validation data"),
        pytest.param(lambda p: p.set(training={"dataset_text_field": "body"}), id="a text field that no row has"),
        pytest.param(hold_out, id="a part held out"),
        pytest.param(lambda p: hold_out(p).set(training={"seed": 7}), id="another part held out"),
    ],
)
def test_settings_leave_the_data_as_it_is(project, facts, change):
    before = facts()
    change(project)

    assert facts() == before
    assert before[1] == list(range(60))


def rename(project) -> None:
    (project.folder / "train.jsonl").rename(project.folder / "other.jsonl")
    project.set(data={"train": "other.jsonl"})


def test_a_renamed_file_is_the_same_data(project, facts):
    before, _ = facts()
    rename(project)
    after, _ = facts()

    assert after.digest == before.digest
    assert after.files[0].name == "other.jsonl"


def add_row(project) -> None:
    with (project.folder / "train.jsonl").open("a") as stream:
        stream.write(
            json.dumps({"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]})
        )


def add_file(project) -> None:
    project.text((project.folder / "validation.jsonl").read_text(), "more.jsonl")
    project.set(data={"train": ["train.jsonl", "more.jsonl"]})


def swap(project) -> None:
    add_file(project)
    project.set(data={"train": ["more.jsonl", "train.jsonl"]})


def refuse(project) -> None:
    """A template that takes only some rows."""
    template = (
        "{% if messages[0].content.endswith('1.') %}{{ raise_exception('no') }}{% endif %}{{ messages[0].content }}"
    )
    project.text(template, "odd.jinja")
    project.set(model={"chat_template": "odd.jinja"}, training={"assistant_only_loss": False})


@pytest.mark.parametrize(
    "before, after, told",
    [
        pytest.param(lambda p: None, add_row, ["train.jsonl has changed"], id="a row more"),
        pytest.param(lambda p: None, add_file, ["more.jsonl is new"], id="a file more"),
        pytest.param(
            add_file, lambda p: p.set(data={"train": "train.jsonl"}), ["more.jsonl is gone"], id="a file less"
        ),
        pytest.param(add_file, swap, ["the files are in another order"], id="another order"),
        pytest.param(lambda p: None, refuse, ["rows: 60 then, 54 now"], id="fewer rows that can be rendered"),
    ],
)
def test_other_rows_are_other_data(project, before, after, told):
    def now() -> Data:
        config = load_config(project.write())
        return sample.data_of(config, prepare(config, load_tokenizer(config)))

    before(project)
    old = now()
    after(project)
    new = now()

    assert old.digest != new.digest
    assert record.differences(old, new) == told

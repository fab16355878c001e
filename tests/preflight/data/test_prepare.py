"""Prepared data is made once for a content, never half, and again when anything that decides it changes."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from preflight.config import load_config
from preflight.data import prepare as preparing
from preflight.data.prepare import prepare
from preflight.data.store import folder_of, key_of
from preflight.findings import NotAvailable
from preflight.model.tokenizer import load_tokenizer


def made(project):
    config = load_config(project.write())
    return prepare(config, load_tokenizer(config))


def stamp(prepared):
    return {str(path): path.stat().st_mtime_ns for path in sorted(prepared.folder.rglob("*")) if path.is_file()}


@pytest.fixture
def small(project, chats):
    """The project with 40 rows, and a copy of its model that can be changed."""
    project.rows(chats(40))
    shutil.copytree(project.config["model"]["name_or_path"], project.folder / "model")
    return project.set(model={"name_or_path": "model"})


@pytest.fixture
def chats():
    def rows(count):
        return [
            {"messages": [{"role": "user", "content": f"Say {n}."}, {"role": "assistant", "content": f"It is {n}."}]}
            for n in range(count)
        ]

    return rows


def test_the_second_call_makes_nothing(small):
    first = made(small)
    before = stamp(first)
    again = made(small)

    assert again.key == first.key
    assert stamp(again) == before
    assert not [path for path in first.folder.rglob("*") if path.name.startswith("cache-")]


def replaced(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


CHANGES = {
    "a byte of the data": lambda p: replaced(p.folder / "train.jsonl", "Say 7.", "Say 7!"),
    "a byte of the validation data": lambda p: replaced(p.folder / "validation.jsonl", "How", "Row"),
    "the template": lambda p: replaced(p.folder / "model" / "chat_template.jinja", "helpful", "helpless"),
    "a template of the config": lambda p: p.set(model={"chat_template": p.text("{{ messages }}", "t.jinja").name}),
    "the tokenizer": lambda p: replaced(p.folder / "model" / "tokenizer_config.json", "<|endoftext|>", "<|im_end|>"),
    "the stop tokens": lambda p: replaced(
        p.folder / "model" / "generation_config.json", '"eos_token_id": 2', '"eos_token_id": 0'
    ),
    "max_length": lambda p: p.set(training={"max_length": 20}),
    "what is learned": lambda p: p.set(training={"assistant_only_loss": False}),
    "packing": lambda p: p.set(training={"packing": True}),
    "packing of the validation data": lambda p: p.set(training={"eval_packing": True}),
    "the shape": lambda p: p.set(data={"format": "messages"}),
    "the end token": lambda p: p.set(training={"eos_token": "<|endoftext|>"}),
}
SAME = {
    "the learning rate": lambda p: p.set(training={"learning_rate": 1e-4}),
    "a comment": lambda p: replaced(p.write(), "name: tiny", "# tiny\nname: tiny"),
    "the same bytes again": lambda p: (p.folder / "train.jsonl").touch(),
    "a file beside the data": lambda p: p.text("{}", "other.jsonl"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_is_made_again_when_something_changes(small, change):
    first = made(small)
    change(small)
    second = made(small)

    assert second.key != first.key
    assert not first.folder.exists()  # stale data is not kept


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_it_is_kept_when_nothing_that_decides_it_changes(small, change):
    before = stamp(made(small))
    change(small)

    assert stamp(made(small)) == before


# --- interrupted, and at once -----------------------------------------------------------------------------------------

CALL = """
import os, signal, sys
from preflight.config import load_config
from preflight.data import prepare as p
from preflight.model.tokenizer import load_tokenizer
config = load_config(sys.argv[1])
tokenizer = load_tokenizer(config)
write, make = p._write_split, p._make
def killed(*given):
    write(*given)
    os.kill(os.getpid(), signal.SIGKILL)
def noted(*given):
    make(*given)
    print("made")
if sys.argv[2] == "killed":
    p._write_split = killed
p._make = noted
print(p.prepare(config, tokenizer).key)
"""


def call(path: Path, how: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", CALL, str(path), how], stdout=subprocess.PIPE, text=True)


def test_an_error_leaves_nothing(small, monkeypatch):
    def broken(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(preparing, "_write_split", broken)
    with pytest.raises(OSError, match="disk is full"):
        made(small)
    monkeypatch.undo()

    folder = folder_of(load_config(small.write()))
    assert [path.name for path in folder.parent.iterdir()] == [".lock"]
    assert made(small).train.rows == 40


def test_a_killed_preparation_is_not_taken_for_prepared_and_is_cleaned_up(small):
    process = call(small.write(), "killed")
    assert process.wait() == -signal.SIGKILL
    folder = folder_of(load_config(small.write()))
    assert not folder.exists()
    assert len([path for path in folder.parent.iterdir() if path.is_dir()]) == 1

    assert made(small).train.rows == 40
    assert [path for path in folder.parent.iterdir() if path.is_dir()] == [folder]


def test_two_processes_at_once_make_it_once(small):
    path = small.write()
    outputs = [process.communicate()[0].split() for process in [call(path, "whole"), call(path, "whole")]]

    assert sorted(len(words) for words in outputs) == [1, 2]
    assert outputs[0][-1] == outputs[1][-1] == made(small).key


# --- splits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "count, share, held_out", [(40, 0.1, 4), (10, 0.05, 1), (2, 0.9, 1), (1, 0.5, 0), (41, 0.5, 20)]
)
def test_validation_split_holds_rows_out(small, chats, count, share, held_out):
    small.rows(chats(count))
    small.config["data"] = {"train": "train.jsonl", "validation_split": share}
    prepared = made(small)

    assert prepared.validation.rows == held_out
    rows = sorted([*prepared.train.profile["row"], *prepared.validation.profile["row"]])
    assert rows == list(range(count))
    for split in prepared.splits.values():  # a row's number is its place in the user's file
        assert [f"train.jsonl:{row + 1}" for row in split.profile["row"]] == list(split.profile["where"])
        assert list(split.examples["row"]) == list(split.profile["row"])


def test_broken_rows_are_counted_and_the_rest_is_prepared_in_order(small):
    good = (small.folder / "train.jsonl").read_text().splitlines()
    small.text("\n".join([*good[:3], "{", '{"text": 5}', "", *good[3:6]]))
    prepared = made(small)

    assert list(prepared.train.profile["row"]) == [0, 1, 2, 5, 6, 7]
    assert list(prepared.train.profile["where"])[-1] == "train.jsonl:9"
    assert [(p["where"], p["kind"]) for p in prepared.train.problems] == [
        ("train.jsonl:4", "unreadable"),
        ("train.jsonl:5", "shape"),
    ]
    assert prepared.sources[0]["rows"] == 7


def test_many_problems_are_counted_and_some_are_kept(small):
    small.text("{\n" * 700)
    split = made(small).train

    assert (split.rows, split.dropped, len(split.problems)) == (0, 700, preparing.MAX_PROBLEMS)


def test_rows_of_two_batches_keep_their_order(small, chats):
    small.rows(chats(preparing.BATCH + 5))
    split = made(small).train

    assert list(split.profile["row"]) == list(range(preparing.BATCH + 5))


@pytest.mark.parametrize(
    "packing, validation, packed",
    [
        (True, None, {"train", "validation"}),
        (True, False, {"train"}),
        (False, True, {"validation"}),
        (False, None, set()),
    ],
)
def test_validation_data_is_packed_as_trl_would(small, packing, validation, packed):
    splits = made(small.set(training={"packing": packing, "eval_packing": validation})).splits

    assert {name for name, split in splits.items() if "seq_lengths" in split.dataset.column_names} == packed


def test_packing_without_a_length_is_not_available(small):
    small.set(training={"packing": True, "max_length": None})
    with pytest.raises(NotAvailable, match=r"training\.max_length"):
        made(small)


def test_damaged_prepared_data_is_made_again(small):
    config = load_config(small.write())
    tokenizer = load_tokenizer(config)
    made = prepare(config, tokenizer)
    wanted = made.train.fed.read_bytes()
    for damage in (b"", wanted[:-8] + b"damaged!"):
        made.train.fed.write_bytes(damage)

        assert prepare(config, tokenizer).train.fed.read_bytes() == wanted


def test_a_project_that_is_copied_elsewhere_keeps_its_key(small, tmp_path_factory):
    there = tmp_path_factory.mktemp("elsewhere") / "project"
    shutil.copytree(small.write().parent, there)

    assert key_of(load_config(there / "config.yaml")) == key_of(load_config(small.folder / "config.yaml"))


def test_a_template_that_renders_nothing_leaves_rows_without_tokens(small):
    small.text("{{ '' }}", "nothing.jinja")
    run = small.set(model={"chat_template": "nothing.jinja"}).gate("-k", "DATA-140 or DATA-107")

    assert run.outcome("DATA-140") == "failed", run.screen
    assert run.outcome("DATA-107") == "passed", run.screen

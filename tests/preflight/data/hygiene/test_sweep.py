"""The pass as a whole: what it counts, keeps and makes anew."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preflight.data.hygiene import hygiene_of, result, sweep
from preflight.data.hygiene.result import EXCERPTS, Hit, Hygiene
from tests.clean_corpus import CORPUS

FAULTS = {"empty", "echo", "repeat", "loop", "cut", "marker", "placeholder", "mojibake", "markup", "boilerplate"}
FAULTS |= {"call", "personal", "secret"}


def test_the_clean_corpus_is_what_it_should_be():
    assert len(CORPUS) == 10
    assert all(len(rows) >= 15 for rows in CORPUS.values())


@pytest.mark.parametrize("name", CORPUS)
def test_the_clean_corpus_has_no_fault(look, name):
    assert [hit for hit in look(CORPUS[name]).found if hit.kind in FAULTS] == []


def test_rows_are_counted_once_for_a_kind_and_a_variety(look):
    answer = "{{name}} and {{author}}, or [INSERT NAME]"
    turns = [("user", "Who?"), ("assistant", answer), ("user", "Who again?"), ("assistant", "TODO")]
    found = look([{"messages": [{"role": role, "content": said} for role, said in turns]}] * 3)

    assert found.rows == 3
    assert found.count("placeholder") == 3
    assert found.varieties["placeholder"] == {"{{ }}": 3, "nothing else": 3}
    assert found.count("placeholder", "{{ }}", "[INSERT]") == 3
    assert [hit.turn for hit in found.hits("placeholder", "nothing else")] == [3, 3, 3]


def test_excerpts_are_few_and_counts_are_true(look):
    found = look([{"prompt": f"Who is {n}?", "completion": "I am {{name}}."} for n in range(5000)])

    assert found.count("placeholder") == 5000
    assert len(found.hits("placeholder")) == EXCERPTS
    assert found.hits("placeholder")[-1].where == f"train.jsonl:{EXCERPTS}"


def test_a_finding_names_the_first_rows_of_each_variety(look):
    answers = ["Fine."] * 3 + ["I am {{name}}."] * 8 + ["TODO"]
    found = look([{"prompt": "Who?", "completion": answer} for answer in answers])
    finding = found.finding("placeholder", message="hold one", expected="none", why="So.", fix="Drop {rows}.")

    assert finding.message == "9 of 12 rows hold one (75.0%)"
    assert finding.where == "train.jsonl:4"
    assert finding.observed.startswith("I am {{name}}.; train.jsonl:12: TODO; also train.jsonl:5, train.jsonl:6, ")
    assert finding.fix == "Drop these 9 rows."


@given(st.lists(st.text(), min_size=1, max_size=6))
@settings(max_examples=50)
def test_no_text_crashes_the_pass(look, texts):
    """Half of a surrogate pair included, which Arrow can't hold."""
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": text + "\ud83d {{name}}"} for n, text in enumerate(texts)]

    assert look([{"messages": messages}, {"text": texts[0]}]).rows == 2


HITS = [Hit(4, "train.jsonl:5", "secret", "github-pat", 1, "ghp_… (40 characters)")]


@pytest.mark.parametrize(
    "found",
    [Hygiene(9, {"secret": 1}, {"secret": {"github-pat": 1}}, HITS), Hygiene(0, {}, {}, [])],
    ids=["a hit", "nothing"],
)
def test_what_is_kept_is_read_again(tmp_path, found):
    result.write(found, tmp_path)

    assert result.read(tmp_path) == found
    assert [file.name for file in tmp_path.iterdir()] == [result.NAME]


def test_what_another_version_found_is_not_read(tmp_path, monkeypatch):
    result.write(Hygiene(9, {}, {}, HITS), tmp_path)
    monkeypatch.setattr(result, "VERSION", result.VERSION + 1)

    assert result.read(tmp_path) is None


@pytest.mark.parametrize("content", [None, b"", b"PAR1 and no more"])
def test_what_is_damaged_is_not_read(tmp_path, content):
    if content is not None:
        (tmp_path / result.NAME).write_bytes(content)

    assert result.read(tmp_path) is None


def test_the_pass_is_made_once(project, monkeypatch):
    from preflight.config import load_config
    from preflight.data.prepare import prepare
    from preflight.model.tokenizer import load_tokenizer

    config = load_config(project.write())
    tokenizer = load_tokenizer(config)
    train = prepare(config, tokenizer).train
    first = hygiene_of(config, train, tokenizer)
    monkeypatch.setattr(sweep, "look", lambda *_: pytest.fail("looked again"))

    assert first.rows == 600
    assert dataclasses.replace(hygiene_of(config, train, tokenizer), found=first.found) == first

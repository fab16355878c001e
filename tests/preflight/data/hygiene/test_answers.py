"""Answers that are no answers: empty, echoed, looped, cut, or about the assistant itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.data.hygiene.answers import goes_on, looped

SENTENCE = "The kettle stands on the stove and hums until the water boils, and then it whistles. "
LONG = SENTENCE * 2 + "After that you pour it over the leaves, wait for four minutes"
CALL = {"type": "function", "function": {"name": "look", "arguments": "{}"}}


def talk(*turns):
    return {"messages": [{"role": role, "content": said} for role, said in turns]}


def exchange(question, answer):
    return talk(("user", question), ("assistant", answer))


@pytest.mark.parametrize(
    "row, expected",
    [
        pytest.param(exchange("Is it?", ""), {"answer": 1}, id="nothing"),
        pytest.param(exchange("Is it?", " \n\t "), {"answer": 1}, id="spaces"),
        pytest.param(exchange("", "It is."), {"question": 1}, id="no question"),
        pytest.param({"instruction": "Is it?", "input": "", "output": ""}, {"answer": 1}, id="alpaca"),
        pytest.param({"prompt": "Is it?", "completion": ""}, {"answer": 1}, id="plain text"),
        pytest.param({"instruction": "Is it?", "input": "", "output": "It is."}, {}, id="an empty input"),
        pytest.param({"prompt": "", "completion": "It is."}, {}, id="plain text without a prompt"),
        pytest.param({"messages": [{"role": "user", "content": "Is it?"},
                                   {"role": "assistant", "content": None, "tool_calls": [CALL]}]}, {}, id="a call"),
        pytest.param({"messages": [{"role": "user", "content": "Is it?"},
                                   {"role": "assistant", "content": "", "reasoning_content": "Hm."}]}, {},
                     id="a thought"),
        pytest.param({"prompt": [{"role": "user", "content": "Is it?"}, {"role": "assistant", "content": ""},
                                 {"role": "user", "content": "Now?"}],
                      "completion": [{"role": "assistant", "content": "It is."}]}, {},
                     id="an answer that isn't learned"),
    ],
)  # fmt: skip
def test_empty_turns_are_found(look, row, expected):
    assert look([row]).varieties.get("empty", {}) == expected


QUESTION = "How do I clean the copper kettle of my grandmother without scratching it?"


@pytest.mark.parametrize(
    "question, answer, found",
    [
        pytest.param(QUESTION, f"{QUESTION}\n\nWith vinegar and salt.", 1, id="the question, then the answer"),
        pytest.param(QUESTION, QUESTION, 0, id="the same sentence, as a correction may be"),
        pytest.param("Is it?", "Is it? It is.", 0, id="a short question"),
        pytest.param(QUESTION, f"You ask: {QUESTION} With vinegar.", 0, id="quoted"),
        pytest.param(QUESTION, "How do I clean the copper kettle? With vinegar.", 0, id="a part of it"),
    ],
)
def test_echoes_are_found(look, question, answer, found):
    assert look([exchange(question, answer)]).count("echo") == found
    assert look([{"prompt": question, "completion": answer}]).count("echo") == found


@pytest.mark.parametrize(
    "turns, found",
    [
        pytest.param([("user", QUESTION), ("assistant", "Salt."), ("user", QUESTION), ("assistant", "Yes.")], 1,
                     id="a question"),
        pytest.param([("user", "a"), ("assistant", QUESTION), ("user", "b"), ("assistant", QUESTION)], 1,
                     id="an answer"),
        pytest.param([("user", "Go on."), ("assistant", "One."), ("user", "Go on."), ("assistant", "Two.")], 0,
                     id="short"),
        pytest.param([("user", QUESTION), ("assistant", QUESTION)], 0, id="what the other says"),
        pytest.param([("system", QUESTION), ("user", QUESTION), ("assistant", "Salt.")], 0, id="the system"),
    ],
)  # fmt: skip
def test_turns_that_are_said_twice_are_found(look, turns, found):
    assert look([talk(*turns)]).count("repeat") == found


@pytest.mark.parametrize(
    "answer, variety",
    [
        pytest.param(LONG, "sentence", id="within a sentence"),
        pytest.param(LONG + ",", "sentence", id="behind a comma"),
        pytest.param("Take this:\n\n```python\nprint(1)", "fence", id="within code"),
        pytest.param("You find it at https://", "link", id="within a link"),
        pytest.param("See [the manual](https://example.com/man", "link", id="within a link of Markdown"),
    ],
)
def test_cut_answers_are_found(varieties, answer, variety):
    assert varieties("cut", answer) == {variety}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(LONG + ".", id="a full stop"),
        pytest.param(LONG + ' and say "now."', id="a quote"),
        pytest.param(LONG + "。", id="a full stop of another script"),
        pytest.param(LONG + " 🎉❤️", id="emoji"),
        pytest.param(LONG + " #tea", id="a hashtag"),
        pytest.param(LONG + ": https://example.com/tea", id="a whole link"),
        pytest.param(SENTENCE * 3 + "\n\n- milk\n- sugar", id="a list"),
        pytest.param(SENTENCE * 3 + "\n\n1. " + LONG, id="a long item"),
        pytest.param(SENTENCE * 3 + "\n\nKind regards,\nAnn", id="a signature"),
        pytest.param("| a | b |\n" * 30 + "| 1 | 2 |", id="a table"),
        pytest.param("the kettle sings\nthe water boils\n" * 10 + "and nobody minds", id="verse"),
        pytest.param("positive", id="a label"),
        pytest.param("Take this:\n\n```\nprint(1)\n```", id="whole code"),
        pytest.param("ปิดโคมไฟแล้วปล่อยให้เย็นลงสิบนาทีก่อนเปลี่ยนหลอดไฟ " * 6, id="Thai"),
    ],
)
def test_whole_answers_are_not_cut(varieties, answer):
    assert varieties("cut", answer) == set()


@pytest.mark.parametrize(
    "answer, question, found",
    [
        pytest.param(SENTENCE + "I'm gonna have to go. " * 9, "And?", True, id="a sentence over and over"),
        pytest.param(SENTENCE * 2 + "no no no " * 20, "And?", True, id="words over and over"),
        pytest.param(SENTENCE + "- Wash it well.\n" * 8 + "- Wash", "And?", True, id="lines, cut in the last one"),
        pytest.param(SENTENCE + "Row, row, row your boat. " * 9, "Sing a song.", False, id="a song"),
        pytest.param("0 0 0 0 0 0 0 0\n" * 20, "And?", False, id="numbers"),
        pytest.param("| --- " * 50 + "|\n" + "=" * 80, "And?", False, id="rules"),
        pytest.param(SENTENCE * 2 + "Ha! " * 3 + SENTENCE, "And?", False, id="three times"),
        pytest.param("\n".join(f"{n}. Fill pot {n} with {n * n} cups." for n in range(20)), "And?", False, id="a list"),
    ],
)
def test_loops_are_found(look, answer, question, found):
    assert bool(look([exchange(question, answer)]).count("loop")) is found


@given(copy=st.text(st.sampled_from("abcdefg hijk.\n"), min_size=4, max_size=60), times=st.integers(8, 30))
def test_many_copies_of_any_words_are_a_loop(copy, times):
    text = "x" * 10 + copy * times
    if len(set(copy) & set("abcdefghijk")) > 1 and len(text) > 100:
        assert looped(text)


@given(text=st.text(max_size=400))
def test_any_text_can_be_judged(text):
    looped(text)
    goes_on(text)


@pytest.mark.parametrize(
    "answer, variety",
    [
        ("As an AI language model, I have no favourite colour.", "self"),
        ("I'm sorry, but as an AI I can't taste it.", "self"),
        ("I am an AI language model, and I do not have a body.", "self"),
        ("I'm ChatGPT, a large language model trained by OpenAI.", "self"),
        ("Als KI-Sprachmodell habe ich keine Meinung.", "self"),
        ("作为一个人工智能语言模型，我没有个人喜好。", "self"),
        ("The king was crowned in May. My knowledge cutoff is 2021.", "cutoff"),
        ("As of my last update in 2021, it was open.", "cutoff"),
        ("I'm sorry, but I can't assist with that request.", "refusal"),
        ("I cannot provide that information.", "refusal"),
        ("I'm unable to access external links.", "refusal"),
        ("I’m sorry, but I don’t have access to real-time data.", "refusal"),
    ],
)
def test_what_assistants_say_about_themselves_is_found(varieties, answer, variety):
    assert varieties("boilerplate", answer) == {variety}


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry to hear that the parcel is late.",
        "I am Nova, the assistant of the town library.",
        "GPT-4 was developed by OpenAI and released in 2023.",
        "BERT was trained as a masked language model.",
        "Sorry, I can't come on Friday; would Monday do?",
        "An AI model is a function with many parameters.",
        "He said that he cannot help her, and left.",
        "I can't recommend the soup enough.",
        "Knowledge of the past cuts both ways.",
    ],
)
def test_what_others_say_is_not_found(varieties, answer):
    assert varieties("boilerplate", answer) == set()


def test_plain_text_is_judged_too(look):
    found = look([{"text": "As an AI language model, I have no home."}, {"text": SENTENCE + "And so on and on. " * 20}])

    assert (found.count("boilerplate"), found.count("loop")) == (1, 1)

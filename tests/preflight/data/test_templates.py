"""Turns found in published chat templates end where the generation markers of TRL's training templates end."""

import copy
import re
from pathlib import Path

import pytest
import trl
from transformers import AutoTokenizer

from preflight.data import shapes
from preflight.data.render import RenderError, Rules, render
from preflight.model.tokenizer import Tokenizer

FOLDER = Path(trl.__file__).parent / "chat_templates"
SPECIAL = re.compile(
    r"<\|[^<>|]+\|>|<｜[^<>]+｜>|<\|?(?:start_of_|end_of_)?turn\|?>|<end_of_utterance>|<eos>|<bos>|</?s>"
)
ENDS = (
    *("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|END_OF_TURN_TOKEN|>"),
    *("<｜end▁of▁sentence｜>", "<turn|>", "<end_of_utterance>", "<|eot|>"),
)
ONLY = Rules(assistant_only_loss=True)


def user(text):
    return {"role": "user", "content": f"ASKED: {text}"}


def said(text, **more):
    return {"role": "assistant", "content": text, **more}


CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Bern"}}}
CHATS = {
    "one turn": [user("What is 2+2?"), said("It is four.")],
    "two turns": [user("Hi"), said("Hello."), user("Name a word."), said("end")],
    "system": [{"role": "system", "content": "Be brief."}, user("Hi"), said(" Hello. \n"), user("Hi"), said("Hello.")],
    "thinks": [user("Hi"), said("<think>\nhm Hi\n</think>\n\nHi"), user("?"), said("<think>\nhm\n</think>\n\nHello.")],
    "reasons": [user("Hi"), said("Hi.", reasoning_content="Hi."), user("?"), said("end", reasoning_content="so: end")],
    "assistant first": [said("How can I help?"), user("Hi"), said("Hello.")],
    "calls a tool": [
        user("Weather?"),
        said("", tool_calls=[CALL]),
        {"role": "tool", "name": "weather", "content": "sunny"},
        said("Sunny."),
    ],
}
# Both of TRL's files of these differ in more than the markers: no end of turn (glm4moe), one for the whole chat (phi3).
OTHERS = {"glm4moe", "phi3", "phi3_5", "llava_next"}
NAMES = sorted({path.stem.removesuffix("_training") for path in FOLDER.glob("*_training.jinja")} - OTHERS)


@pytest.fixture(scope="module")
def base(smollm2):
    return AutoTokenizer.from_pretrained(smollm2)


def with_template(base, template, known):
    """The embedded tokenizer with another template and the special tokens that it uses."""
    hf = copy.deepcopy(base)
    tokens = sorted(set(SPECIAL.findall(known)))
    hf.add_special_tokens({"additional_special_tokens": tokens})
    hf.eos_token = next(token for token in ENDS if token in tokens)
    ids = hf.convert_tokens_to_ids([token for token in ("<|return|>", "<|call|>") if token in tokens])
    return Tokenizer(hf, template, frozenset({hf.eos_token_id, *ids}))


def learned(messages, tokenizer):
    rendered = render(shapes.normalise({"messages": messages}, "messages"), tokenizer, ONLY)
    return [rendered.text[start:stop].strip() for start, stop in rendered.spans]


@pytest.mark.parametrize("name", NAMES)
def test_turns_end_where_trls_markers_end(base, name):
    plain, marked = ((FOLDER / f"{name}{kind}.jinja").read_text(encoding="utf-8") for kind in ("", "_training"))
    ours = with_template(base, plain, plain + marked)
    theirs = with_template(base, marked, plain + marked)
    assert theirs.marks_generation
    assert not ours.marks_generation

    judged = 0
    for kind, messages in CHATS.items():
        try:
            expected = learned(messages, theirs)
            found = learned(messages, ours)
        except RenderError:  # some take no system role, no tools, or no chat that the assistant opens
            continue
        if (name, kind) == ("diffusion_gemma", "calls a tool"):
            continue  # its tool turns have no end of their own
        judged += 1
        assert len(found) == len(expected), kind
        # TRL's markers may enclose the header or a thinking block that the other file leaves out or prompts with.
        assert all(one.endswith(other) or other.endswith(one) for one, other in zip(found, expected, strict=True)), kind
        assert all(SPECIAL.findall(text) for text in found), kind
        assert not any("ASKED" in text for text in found), kind
    assert judged >= 3

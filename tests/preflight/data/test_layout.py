"""Many conversations, one rendering each: the text and the spans are those of looking at every turn."""

from pathlib import Path

import pytest
import trl
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from preflight.data import shapes
from preflight.data.layout import renderer
from preflight.data.render import Rendered, RenderError, Rules, render
from preflight.model.tokenizer import Tokenizer

FOLDER = Path(trl.__file__).parent / "chat_templates"
TEMPLATES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.jinja"))}
ODD = {
    "trims the answer": "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n"
    "{% endfor %}",
    "marks the turn": "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|im_end|>"
    "{% endgeneration %}{% else %}{{ m.content }}\n{% endif %}{% endfor %}",
    "drops the system": "{% for m in messages %}{% if m.role != 'system' %}{{ m.role }}: {{ m.content }}<|im_end|>"
    "{% endif %}{% endfor %}",
    "says it twice": "{% for m in messages %}{{ m.content }}|{{ m.content }}<|im_end|>{% endfor %}",
    "turns them round": "{% for m in messages | reverse %}{{ m.content }}<|im_end|>{% endfor %}",
    "looks inside": "{% for m in messages %}{{ m.role }}: {{ m.content.split('</think>')[-1] }}<|im_end|>{% endfor %}",
    "upper case": "{% for m in messages %}{{ m.content | upper }}<|im_end|>{% endfor %}",
}
OPENS_MORE = {"deepseek_r1_distill", "deepseekv3", "gptoss", "phi3", "phi3_5"}
WORDS = st.sampled_from(
    [
        "",
        " ",
        "Hi",
        "Hi.",
        " Hi \n",
        "<think>hm</think>Hi",
        "</think>",
        "Stand0in",
        "<|im_end|>",
        "é 🪔",
        "assistant\n",
        "a\nb",
    ]
)
TURNS = st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def base(smollm2):
    return AutoTokenizer.from_pretrained(smollm2)


def both(one, chats, rules):
    """What each of two ways makes of each chat: the rendered, or the words of the refusal."""

    def attempt(way, chat):
        try:
            return way(shapes.normalise(chat, "messages" if "messages" in chat else "prompt-completion"))
        except RenderError as error:
            return str(error)

    quick = renderer(one, rules)
    return [attempt(quick, chat) for chat in chats], [attempt(lambda e: render(e, one, rules), chat) for chat in chats]


@pytest.mark.parametrize("only", [True, False])
@pytest.mark.parametrize("name", [*TEMPLATES, *ODD])
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(system=st.none() | WORDS, conversations=st.lists(TURNS, min_size=1, max_size=4))
@example(
    system=None, conversations=[[("Hi", "Hello.")], [(" Hi", "Hello.\n")], [("Hi", "<think>hm</think>\n\nHello.")]]
)
@example(system="Be brief.", conversations=[[("Hi", "A"), ("Hi", "A")], [("A", "Stand1in"), ("", "")]])
def test_the_quick_way_says_what_the_slow_way_says(base, name, only, system, conversations):
    one = Tokenizer(base, {**TEMPLATES, **ODD}[name], frozenset({2}))
    chats = []
    for turns in conversations:
        messages = [{"role": "system", "content": system}] if system is not None else []
        for asked, said in turns:
            messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
        chats += [{"messages": messages}, {"prompt": messages[:-1], "completion": messages[-1:]}]
    quick, slow = both(one, chats, Rules(assistant_only_loss=only))

    assert [item.text if not isinstance(item, str) else item for item in quick] == [
        item.text if not isinstance(item, str) else item for item in slow
    ]
    for chat, one_way, other_way in zip(chats, quick, slow, strict=True):
        # Where the generation prompt opens more than the turn has, such as a thinking block, looking at the turn itself
        # can't always tell where it starts and ends: an answer may begin like that block, or with space, or be empty.
        if name in OPENS_MORE and isinstance(one_way, Rendered):
            assert len(one_way.spans) == len(other_way.spans), chat
        else:
            assert one_way == other_way, chat


def test_most_conversations_are_rendered_once(base, monkeypatch):
    one = Tokenizer(base, base.chat_template, frozenset({2}))
    rendered = []
    compiled = one.compiled
    monkeypatch.setitem(one.__dict__, "compiled", lambda messages: rendered.append(1) or compiled(messages))
    way = renderer(one, Rules(assistant_only_loss=True))
    slowly = []
    monkeypatch.setattr("preflight.data.layout.render", lambda *args: slowly.append(1) or render(*args))
    for number in range(50):
        turns = [{"role": "user", "content": f"Is it {number}?"}, {"role": "assistant", "content": f"It is {number}."}]
        way(shapes.normalise({"messages": turns * (1 + number % 2)}, "messages"))

    assert len(rendered) == 50
    assert len(slowly) == 2  # the layout of one turn and that of two

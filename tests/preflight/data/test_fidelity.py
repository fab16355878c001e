"""Flags of rows: each is set where the template or the tokenizer did something to the row, and nowhere else."""

import json
import re
from pathlib import Path

import pytest
import trl
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from preflight.data import conversation, fidelity, label, scripts, shapes
from preflight.data.batch import Batch
from preflight.data.render import RenderError, Rules, render
from preflight.model.tokenizer import Tokenizer

TRL = Path(trl.__file__).parent / "chat_templates"
PROMPT = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
HEADER = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
CHATML = HEADER + "{{ m.content + '<|im_end|>\n' }}{% endfor %}" + PROMPT
TRIMMED = CHATML.replace("m.content +", "m.content | trim +")
NO_SYSTEM = CHATML.replace("in messages", "in messages if m.role != 'system'")
CLOSED = "{{ m.content + '<|im_end|>' }}"
MARKED = HEADER + "{% if m.role == 'assistant' %}{% generation %}" + CLOSED + "{% endgeneration %}{% else %}" + CLOSED
MARKED += "{% endif %}{{ '\n' }}{% endfor %}" + PROMPT
ALL_MARKED = "{% generation %}" + CHATML.removesuffix(PROMPT) + "{% endgeneration %}" + PROMPT
LAST_MARKED = MARKED.replace("m.role == 'assistant'", "loop.last")
USER_MARKED = MARKED.replace("m.role == 'assistant'", "m.role in ('assistant', 'user')")
HALF_MARKED = MARKED.replace("{% generation %}{{ m.content", "{{ m.content[:20] }}{% generation %}{{ m.content[20:]")
QUOTED = HEADER + "{{ (m.content | tojson if m.role == 'tool' else m.content) + '<|im_end|>\n' }}{% endfor %}" + PROMPT
# Calls in the ways that templates write them: through tojson, as they are, by Python's str.
CALLS = HEADER + "{{ m.content }}{% for c in m.tool_calls or [] %}{{ '\n' + c.function.name }} CALL{% endfor %}"
CALLS += "{{ '<|im_end|>\n' }}{% endfor %}" + PROMPT
TOJSON = CALLS.replace("CALL", "{{ c.function.arguments | tojson }}")
AS_IS = CALLS.replace("CALL", "{{ c.function.arguments }}")
TOOLS = "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}" + TOJSON
# Thinks like Qwen3: a block before the last answer, empty without reasoning, none before earlier ones.
THINKS = (
    HEADER + "{% set content = m.content.split('</think>')[-1].lstrip('\n') %}{% set thought = m.reasoning_content or "
    "(m.content.split('</think>')[0].split('<think>')[-1].strip('\n') if '</think>' in m.content else '') %}"
    "{% if m.role == 'assistant' and loop.last %}{{ '<think>\n' + thought + '\n</think>\n\n' }}{% endif %}"
    "{{ content + '<|im_end|>\n' }}{% endfor %}" + PROMPT
)
NO_THINK = THINKS.replace(PROMPT, PROMPT.replace("assistant\n", "assistant\n<think>\n\n</think>\n\n"))
R1 = CHATML.replace("m.content +", "m.content.split('</think>')[-1] +")
ONLY, EVERYTHING = Rules(assistant_only_loss=True), Rules()

USER, ANSWER = (
    {"role": "user", "content": "How do I clean my lamp?"},
    {"role": "assistant", "content": "Unplug it first."},
)
AGAIN, MORE = {"role": "user", "content": "And my kettle then?"}, {"role": "assistant", "content": "With vinegar."}
SYSTEM = {"role": "system", "content": "Be brief and kind."}
TALK = [USER, ANSWER, AGAIN, MORE]
RESULT = {"role": "tool", "name": "weather", "content": '{"sky": "clear",\n "wind": 3}'}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def said(content, **more):
    return {"role": "assistant", "content": content, **more}


def call(arguments):
    return said("", tool_calls=[{"type": "function", "function": {"name": "weather", "arguments": arguments}}])


@pytest.fixture(scope="module")
def dress(smollm2):
    """The embedded tokenizer with another template and special tokens, adding these around plain text."""
    made = {}

    def dressed(template, adds=None, **tokens):
        key = (adds, *tokens.items())
        if key not in made:
            hf = AutoTokenizer.from_pretrained(smollm2)
            hf.add_special_tokens(tokens)
            if adds:
                named = [(token, hf.convert_tokens_to_ids(token)) for token in adds.split() if token != "$A"]
                hf.backend_tokenizer.post_processor = TemplateProcessing(single=adds, special_tokens=named)
            made[key] = Tokenizer(hf, hf.chat_template, frozenset({hf.eos_token_id}))
        first = made[key]
        tokenizer = Tokenizer(first.hf, template or first.template, first.stop_ids)
        vars(tokenizer).update(backend=first.backend, byte_lengths=first.byte_lengths)  # what takes long to find out
        return tokenizer

    return dressed


def batch_of(rows, tokenizer, rules):
    examples = [shapes.normalise(row) for row in rows]
    rendered = [render(example, tokenizer, rules) for example in examples]
    engine = label.hf_engine(tokenizer.backend)
    texts = [item.text for item in rendered]
    tokens = label.tokenise(texts, tokenizer, engine, plain=not examples[0].messages)
    numbers = tuple(range(len(rows)))
    return Batch(numbers, (None,) * len(rows), examples, rendered, label.label(rendered, tokens, tokenizer))


def flags(rows, tokenizer, rules=ONLY):
    """The flags of each row, with what shows them."""
    found = [{} for _ in rows]
    for flag, place, text in fidelity.look(batch_of(rows, tokenizer, rules), tokenizer):
        assert flag in fidelity.FLAGS
        assert flag not in found[place], "a flag is set once a row"
        found[place][flag] = text
    return found


@pytest.mark.parametrize(
    "template, messages, more, flag, shown",
    [
        pytest.param(NO_SYSTEM, [SYSTEM, *TALK], {}, "system-lost", "system: Be brief and kind.", id="system dropped"),
        pytest.param(
            CHATML.replace("in messages", "in messages if m.role != 'tool'"),
            [USER, ANSWER, RESULT, MORE],
            {},
            "text-lost",
            "tool: ",
            id="tool result dropped",
        ),
        pytest.param(
            HEADER + "{{ m.content[:12] + '<|im_end|>\n' }}{% endfor %}" + PROMPT,
            [USER, ANSWER],
            {},
            "text-lost",
            "user: How do I",
            id="text cut by the template",
        ),
        pytest.param(CHATML, TALK, {"tools": [TOOL]}, "tool-lost", "weather", id="tools dropped"),
        pytest.param(CHATML, [USER, call({"city": "Bern"}), MORE], {}, "call-lost", "weather", id="call dropped"),
        pytest.param(
            CALLS.replace("CALL", ""),
            [USER, call({"city": "Bern"}), MORE],
            {},
            "call-lost",
            "weather: city",
            id="no args",
        ),
        pytest.param(
            TOJSON, [USER, call('{"city": "Bern"}'), MORE], {}, "call-quoted", r'"{\"city\": \"Bern\"}"', id="twice"
        ),
        pytest.param(AS_IS, [USER, call({"city": "Bern"}), MORE], {}, "call-quoted", "{'city': 'Bern'}", id="Python"),
        pytest.param(
            R1, [USER, said("<think>So.</think>Yes.")], {}, "reasoning-lost", "So.", id="reasoning dropped by R1"
        ),
        pytest.param(
            CHATML, [USER, said("Yes.", reasoning_content="So.")], {}, "reasoning-lost", "So.", id="key unread"
        ),
        pytest.param(CHATML, [USER, said("Yes.", thinking="So.")], {}, "reasoning-lost", "So.", id="another key"),
        pytest.param(
            THINKS,
            [USER, said("<think>So.</think>Yes."), AGAIN, said("<think>Hm.</think>No.")],
            {},
            "reasoning-dropped",
            "So.",
            id="earlier reasoning dropped",
        ),
        pytest.param(THINKS, TALK, {}, "empty-think", "<think>\n\n</think>\n\nWith vinegar.", id="empty block learned"),
        pytest.param(
            "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}[THINK][/THINK]{% endif %}"
            "{{ m.content }}<|im_end|>\n{% endfor %}" + PROMPT,
            [USER, ANSWER],
            {},
            "empty-think",
            "[THINK][/THINK]Unplug",
            id="empty block in other tags",
        ),
        pytest.param(CHATML, [USER, said("So.</think>Yes.")], {}, "unbalanced-think", "</think>", id="closed only"),
        pytest.param(CHATML, [USER, said("<think>So. Yes.")], {}, "unbalanced-think", "<think>", id="opened only"),
        pytest.param(ALL_MARKED, TALK, {}, "prompt-learned", "How do I clean", id="everything marked"),
        pytest.param(USER_MARKED, [SYSTEM, *TALK], {}, "prompt-learned", "How do I clean", id="user marked"),
        pytest.param(LAST_MARKED, TALK, {}, "turn-not-learned", "Unplug it first.", id="last turn marked"),
        pytest.param(
            HALF_MARKED, [USER, said("Unplug it. " * 9)], {}, "turn-not-learned", "Unplug", id="half a turn marked"
        ),
        pytest.param(
            CHATML, [USER, said("Say <|im_end|> now.")], {}, "typed-special", "Say <|im_end|> now.", id="typed"
        ),
    ],
)
def test_a_flag_is_set_alone(dress, template, messages, more, flag, shown):
    (found,) = flags([{"messages": messages, **more}], dress(template))

    assert list(found) == [flag]
    assert shown in found[flag]


LAMP = {"city": "Bern", "days": 2, "exact": True}


@pytest.mark.parametrize(
    "template, messages, more",
    [
        pytest.param(CHATML, [SYSTEM, *TALK], {}, id="plain"),
        pytest.param(None, [SYSTEM, *TALK], {}, id="the model's own, with a system prompt by default"),
        pytest.param(TRIMMED, [USER, said("  Two  spaces \n\n"), AGAIN, MORE], {}, id="trimmed"),
        pytest.param(
            CHATML,
            [{"role": "user", "content": "ok"}, said("ok"), {"role": "user", "content": "o"}, said("k")],
            {},
            id="short",
        ),
        pytest.param(
            CHATML, [USER, said("You asked: How do I clean my lamp? Unplug it.")], {}, id="answer repeats prompt"
        ),
        pytest.param(CHATML, [USER, said(""), AGAIN, MORE], {}, id="an empty answer"),
        pytest.param(CHATML, [USER, said("<b>bold</b> [1] <|im_sep|> a < b")], {}, id="markup"),
        pytest.param(MARKED, [SYSTEM, *TALK], {}, id="marked"),
        pytest.param(MARKED, [ANSWER, *TALK, USER], {}, id="the assistant first, the user last"),
        pytest.param(QUOTED, [USER, ANSWER, RESULT, MORE], {}, id="tool result as JSON text"),
        pytest.param(
            HEADER
            + "{{ (m.content if m.role != 'tool' else 'sky=clear; wind=3') + '<|im_end|>\n' }}{% endfor %}"
            + PROMPT,
            [USER, ANSWER, RESULT, MORE],
            {},
            id="tool result in another notation",
        ),
        pytest.param(TOOLS, [USER, call(LAMP), RESULT, MORE], {"tools": [TOOL]}, id="tools and a call"),
        pytest.param(AS_IS, [USER, call(json.dumps(LAMP)), RESULT, MORE], {}, id="arguments as text, as they are"),
        pytest.param(TOJSON, [USER, call({}), RESULT, MORE], {}, id="a call without arguments"),
        pytest.param(
            TOJSON, [USER, call({"days": 2}), RESULT, MORE], {}, id="arguments that are Python and JSON alike"
        ),
        pytest.param(AS_IS, [USER, call("{}"), RESULT, MORE], {}, id="empty arguments as text"),
        pytest.param(CHATML, [USER, said("<think>\nSo.\n</think>\n\nYes.")], {}, id="reasoning in the text"),
        pytest.param(THINKS, [USER, said("<think>\nSo.\n</think>\n\nYes.")], {}, id="reasoning moved by the template"),
        pytest.param(THINKS, [USER, said("Yes.", reasoning_content="So.\nThen.")], {}, id="reasoning in its key"),
        pytest.param(NO_THINK, TALK[:2], {}, id="an empty block that the prompt opens"),
        pytest.param(CHATML, [USER, said("<think></think>Yes.")], {}, id="an empty block of the data's own"),
        pytest.param(
            CHATML,
            [{"role": "system", "content": "Think between <think> tags."}, USER, ANSWER],
            {},
            id="tags in a prompt",
        ),
    ],
)
def test_good_conversations_have_no_flags(dress, template, messages, more):
    assert flags([{"messages": messages, **more}], dress(template)) == [{}]


def test_whole_conversations_have_learned_prompts_and_nothing_else(dress):
    rows = [{"messages": [SYSTEM, *TALK]}, {"messages": [ANSWER]}]

    assert flags(rows, dress(CHATML), EVERYTHING) == [{"prompt-learned": "Be brief and kind."}, {}]


@pytest.mark.parametrize(
    "template, adds, rows, expected",
    [
        pytest.param("<s>" + CHATML, "<s> $A", [{"messages": TALK}], {}, id="a chat with BOS"),
        pytest.param(CHATML, "<s> $A", [{"messages": TALK}], {"no-bos": "no <s>"}, id="a chat without"),
        pytest.param(CHATML, None, [{"messages": TALK}], {}, id="a model without BOS before texts"),
        pytest.param("<s><s>" + CHATML, None, [{"messages": TALK}], {"double-bos": "<s><s>"}, id="a chat with two"),
        pytest.param(CHATML, "<s> $A", [{"text": "Once."}], {}, id="text"),
        pytest.param(CHATML, "<s> $A", [{"text": "<s>Once."}], {"double-bos": "<s><s>"}, id="text with BOS typed"),
        pytest.param(CHATML, None, [{"text": "<s>Once."}], {}, id="the same where the tokenizer adds none"),
        pytest.param(CHATML, "<s> $A </s>", [{"text": "Once."}], {"double-eos": "</s></s>"}, id="EOS added twice"),
        pytest.param(CHATML, None, [{"text": "Once.</s>"}], {}, id="EOS typed once"),
        pytest.param(CHATML, None, [{"text": "Once.</s></s>"}], {"double-eos": "</s></s>"}, id="EOS typed twice"),
        pytest.param(CHATML, None, [{"text": "a</s>"}, {"text": "</s>b"}], {}, id="EOS of two rows"),
        pytest.param(CHATML, None, [{"text": ""}, {"text": ""}], {}, id="nothing but EOS"),
    ],
)
def test_bos_and_eos(dress, template, adds, rows, expected):
    tokenizer = dress(template, adds, bos_token="<s>", eos_token="</s>")

    assert flags(rows, tokenizer)[0] == expected


@pytest.mark.parametrize(
    "row, found",
    [
        ("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello.", False),
        ("<|im_start|>user\nHi<|im_end|><|im_start|>assistant\nHello.", True),
        ("<|im_start|>user Hi<|im_end|>\n<|im_start|>assistant Hello.", True),
        ("### Instruction:\nSay hi.\n\n### Response:\nHello.", True),
        ("[INST] Say hi. [/INST] Hello.", True),
        ("Human: Hi\n\nAssistant: Hello.", True),
        ("The human: a machine. The assistant: [1].", False),
        ("### Instruction manual\nTurn the lamp off.", False),
        ("A chat begins with <|im_start|>user and a line break.", False),
    ],
)
def test_formats_by_hand(dress, row, found):
    tokenizer = dress(CHATML)
    opening, _, answer = row.rpartition("Hello")
    rows = [{"text": row}, {"prompt": opening, "completion": f"Hello{answer}"}]

    assert [("hand-written" in each) for each in (flags([row], tokenizer)[0] for row in rows)] == [found, found]
    bare = Tokenizer(tokenizer.hf, None, tokenizer.stop_ids)
    assert flags(rows[:1], bare) == [{}], "a model without a template knows no format"


def test_a_template_in_words_is_no_format_by_hand(dress):
    alpaca = (
        "{% for m in messages %}{% if m.role == 'user' %}### Instruction:\n{{ m.content }}\n\n{% else %}### Response:"
    )
    alpaca += "\n{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}### Response:\n{% endif %}"
    text = "### Instruction:\nSay hi.\n\n### Response:\nHello."

    assert flags([{"text": text}, {"text": text.replace("\n\n", "\n")}], dress(alpaca)) == [
        {},
        {"hand-written": text.replace("\n\n", "\n") + "<|im_end|>"},
    ]


def test_bytes_that_the_vocabulary_lacks_are_found(dress):
    rows = [{"messages": [USER, said("a\x04b")]}, {"messages": [USER, said("naïve 🪔 你好")]}, {"messages": TALK}]

    assert [list(found) for found in flags(rows, dress(CHATML))] == [["lossy"], [], []]


def test_a_learned_prompt_of_plain_text_is_found(dress):
    row = {"prompt": "Q: two and two?\nA:", "completion": " four"}
    tokenizer = dress(CHATML)

    assert flags([row], tokenizer) == [{}]
    assert flags([row], tokenizer, Rules(completion_only_loss=False)) == [{"prompt-learned": row["prompt"]}]


# What TRL's own templates do to good conversations, each of which is a fact: some know no tools or reasoning, some
# drop the thoughts of earlier turns, and those that think put empty blocks before answers without thoughts.
KNOWN = {"reasoning-lost", "reasoning-dropped", "tool-lost", "call-lost", "empty-think"}
GOOD = {"turns": TALK, "system": [SYSTEM, *TALK], "assistant first": [ANSWER, *TALK]}
THINKING = {
    "reasoning": [USER, said("Yes.", reasoning_content="So: two."), AGAIN, said("No.", reasoning_content="Hm: no.")]
}
CALLING = {"calls": [USER, call({"city": "Bern"}), {**RESULT, "content": "sunny"}, MORE]}
NEEDS_PARTS = {"idefics3", "smolvlm", "llava_next"}  # their messages are lists of parts
ENDS = re.compile(r"<\|[^<>| ]+\|>|<｜[^<>]+｜>|<end_of_\w+>|<turn\|>")
SPECIAL = tuple(sorted({token for path in TRL.glob("*.jinja") for token in ENDS.findall(path.read_text("utf-8"))}))
NAMES = sorted(path.stem for path in TRL.glob("*.jinja") if path.stem.removesuffix("_training") not in NEEDS_PARTS)


@pytest.mark.parametrize("name", NAMES)
def test_good_conversations_on_published_templates(dress, name):
    template = (TRL / f"{name}.jinja").read_text(encoding="utf-8")
    tokenizer = dress(template, bos_token="<bos>", eos_token="<eos>", additional_special_tokens=SPECIAL)
    for kind, messages in {**GOOD, **THINKING, **CALLING}.items():
        row = {"messages": messages, "tools": [TOOL]} if kind == "calls" else {"messages": messages}
        for rules in (ONLY, EVERYTHING):
            try:
                (found,) = flags([row], tokenizer, rules)
            except RenderError:  # some take no system role, no tools, or no chat that the assistant opens
                continue
            allowed = KNOWN if kind in ("calls", "reasoning") else {"empty-think"} if "hink" in template else set()
            if kind == "calls" and name.startswith("phi3"):
                allowed = allowed | {"text-lost"}  # it drops all roles but its own
            if rules is EVERYTHING:
                allowed = allowed | {"prompt-learned"}
            assert set(found) <= allowed, (kind, found)


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
turns = st.lists(st.tuples(st.sampled_from(["user", "assistant", "system", "tool"]), words), min_size=1, max_size=5)


@settings(max_examples=150, deadline=None)
@given(turns)
def test_whatever_is_said_survives_a_template_that_keeps_it(dress, turns):
    rows = [{"messages": [{"role": role, "content": content} for role, content in turns]}]
    for template in (CHATML, TRIMMED, MARKED):
        (found,) = flags(rows, dress(template))

        assert not {"system-lost", "text-lost", "prompt-learned", "turn-not-learned"} & set(found), found


@pytest.mark.parametrize(
    "text, script",
    [
        ("Plain text.", "Latin"),
        ("naïve café, “quoted” — and 3 €", "Latin"),
        ("«…» 1 2 3 🪔", "Latin"),
        ("", "Latin"),
        ("Run ```ls``` now", "code"),
        ("Он сказал: «да».", "Cyrillic"),
        ("你好，世界你好 hello", "Han"),
        ("すべての人間は自由である", "Kana"),
        ("모든 인간은", "Hangul"),
        ("มนุษย์ทั้งหลาย", "Thai"),
        ("كل الناس", "Arabic"),
        ("Запусти ```ls``` сейчас", "Cyrillic"),
        ("\ud800", "Latin"),
    ],
)
def test_scripts(text, script):
    assert scripts.of(["abc", text, "é"]) == ["Latin", script, "Latin"]


def test_what_the_assistant_says_is_counted():
    example = shapes.normalise({"messages": [USER, said("1234", reasoning_content="56"), AGAIN, said("7")]})

    assert conversation.said(example) == 7
    assert conversation.said(shapes.normalise({"prompt": "ab", "completion": "cde"})) == 3


def test_excerpts_are_short_and_can_be_written():
    assert fidelity.shown("a" * 500) == "a" * 160 + "…"
    assert fidelity.shown("\ud800") == r"\ud800"

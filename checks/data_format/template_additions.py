import re
from datetime import datetime
from itertools import islice
from types import SimpleNamespace
from unittest.mock import patch

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data import source
from preflight.data.render import LEADING
from preflight.data.shapes import Example
from preflight.data.store import Split
from preflight.findings import counted, not_applicable
from preflight.fixtures import Evidence
from preflight.model.tokenizer import Tokenizer

SAMPLE = 64  # conversations that are looked at
DAYS = (datetime(2001, 1, 1), datetime(2031, 12, 31))
MIN_WORDS = 3  # less is the name of a role


@check(
    "TOK-114", "template-additions", severity="advice", section=1, item="Consistent template applied to all examples"
)
def the_template_adds_no_words_of_its_own(
    config: Config, train: Split, tokenizer: Tokenizer, evidence: Evidence
) -> None:
    """The template puts no date and no system prompt of its own before the conversation.

    What it checks: The text before the first message, in rows with a system message and in those without. Whether it
    changes when the template asks for the date of another day.
    Why it matters: What the template adds is learned together with your answers. A server that adds something else (its
    own template, its own system prompt, the date of that day) asks the model in another way than it was trained.
    How to fix: Write the system message that you will serve with into every row. Templates that take a date read it
    from a variable, such as `date_string` in a column `chat_template_kwargs`.
    Evidence: sgl-project/sglang#3296, unslothai/unsloth#881, huggingface/text-generation-inference#2987.
    """
    sample = [item for _, _, item in islice(source.examples(config, "train"), SAMPLE) if item.messages]
    if not sample or tokenizer.template is None:
        not_applicable("no conversation is rendered")
    firsts = train.profile["roles"].str.startswith(tuple(role[0] for role in LEADING))
    findings, added = [], {}
    for led in (False, True):
        example = next((item for item in sample if _led(item) == led and not item.tools), None)
        rows = train.profile[(firsts == led) & ~train.profile["shape"].eq("text")]
        if example is None or rows.empty:
            continue
        texts = [_before(example, tokenizer, day) for day in DAYS]
        if not texts[0]:
            continue
        added[led] = texts[0]
        dated = texts[0] != texts[1]
        findings.append(
            Finding(
                f"the template adds {'the date of the day' if dated else 'words of its own'} to "
                f"{counted(len(rows), 'row')} {'with' if led else 'without'} a system message",
                where=rows.iloc[0]["where"],
                observed=repr(texts[0]),
                why="It is learned with your answers, and a server may add something else"
                + (": each day another date." if dated else "."),
                fix='Fix the date with a column chat_template_kwargs, such as {"date_string": "26 Jul 2024"}.'
                if dated
                else "Write the system message that you will serve with into every row, or serve with this one.",
            )
        )
    evidence(f"adds {', '.join(map(repr, added.values())) or 'nothing'}", added=list(added.values()))
    report_findings(findings)


def _led(example: Example) -> bool:
    return example.messages[0]["role"] in LEADING


def _before(example: Example, tokenizer: Tokenizer, day: datetime) -> str:
    """The words that stand before all messages of an example; empty if there are only markers and roles."""
    clock = SimpleNamespace(now=lambda: day)
    try:
        with patch("transformers.utils.chat_template_utils.datetime", clock):  # what `strftime_now` reads
            text, _ = tokenizer.render(example.messages, options=example.options)
    except Exception:  # it takes the row, but perhaps not on any day
        return ""
    contents = [str(message["content"]).strip() for message in example.messages]
    starts = [text.find(content) for content in contents if content]
    head = text[: min((start for start in starts if start >= 0), default=0)]
    lines = (line.strip() for line in re.split(rf"\n|{tokenizer.special.pattern}", head))
    return "\n".join(line for line in lines if len(line.split()) >= MIN_WORDS)

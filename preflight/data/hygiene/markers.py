"""Markers of turns that are typed into a turn: control tokens of some chat format, and labels such as `### Response:`."""

import re
from collections.abc import Callable

from preflight.data.hygiene.turn import ANSWERS, Found, Scan, Turn, excerpt, prose, topics

NAMES = (
    "im_start|im_end|im_sep|endoftext|endofprompt|end_of_text|begin_of_text|start_header_id|end_header_id|eot_id|eom_id|"
    "python_tag|user|assistant|system|observation|end|start_of_role|end_of_role|START_OF_TURN_TOKEN|END_OF_TURN_TOKEN|"
    "start|channel|message|return|call"
)
CONTROL = re.compile(
    rf"<\|(?:{NAMES})\|>|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>|<｜[^｜\n]{{1,30}}｜>|<s>(?=\s*\[INST)|</s>(?=\s*(?:\Z|<s>))"
)
# At the very start of a turn, the speaker's own name.
OWN = {
    "assistant": re.compile(
        r"\s*(?:#{2,4} ?(?:Assistant|Response|Answer|Output|AI|Bot)|(?:Assistant|ASSISTANT|AI|Bot|ChatGPT|GPT))\s*:\s"
    ),
    "user": re.compile(r"\s*(?:#{2,4} ?(?:Human|User|Instruction|Question)|(?:Human|HUMAN|User|USER))\s*:\s"),
}
OWN["completion"] = OWN["assistant"]
# Inside a turn: a heading that only prompt formats have, or a speaker's name behind an empty line.
HEADING = re.compile(r"^#{2,4} ?(?:Instruction|Human|User|Assistant|Response) ?:", re.MULTILINE)
SPEAKER = re.compile(r"\n\s*\n(?:Human|HUMAN|User|USER|Assistant|ASSISTANT) ?:\s")
LABEL = re.compile(r"(?:\A|\n\s*\n)\s*([A-Z][\w ]{0,24}):\s")
SPEAKERS = frozenset(("Human", "HUMAN", "User", "USER", "Assistant", "ASSISTANT", "AI", "Bot"))
# Who asks for one of these gets labels.
DIALOGUE = topics(
    "dialog", "conversation", "script", "screenplay", "transcri", "interview", "role.?play", "scene", "play\\b", "skit",
    "sketch", "chat", "bots?\\b", "prompt", "template", "fine.?tun", "format", "story", "token", "api\\b", "endpoint", "http",
    "documentation",
)  # fmt: skip


def scan(special: str) -> Scan:
    """The scan for markers.

    Args:
        special: A pattern that matches the special tokens of the run's own tokenizer, which another check is about.
    """
    own = re.compile(special)
    likely = r"<\||\|>|_of_turn>|INST\]|SYS>>|</?s>|<｜|(?:Human|HUMAN|User|USER|Assistant|ASSISTANT|AI|Bot|GPT) ?:|^\s*#{2,4} ?[A-Z]\w+ ?:|\n#{2,4} ?[A-Z]\w+ ?:"
    return Scan("marker", likely, ANSWERS | {"user", "system", "developer"}, lambda turn: _find(turn, own.fullmatch))


def _find(turn: Turn, own: Callable[[str], object]) -> Found:
    text = prose(turn.text)
    for match in CONTROL.finditer(text):
        if not own(match.group()):
            yield match.group(), excerpt(text, *match.span())
            return
    if turn.role in ("system", "developer") or DIALOGUE.search(turn.asked):
        return
    if opening := OWN[turn.role].match(text):
        yield opening.group().strip(), excerpt(text)
        return
    if heading := HEADING.search(text):
        yield heading.group().strip(), excerpt(text, *heading.span())
    elif (speaker := SPEAKER.search(text)) and {*LABEL.findall(text)} <= SPEAKERS and not LABEL.match(text):
        yield speaker.group().strip(), excerpt(text, *speaker.span())

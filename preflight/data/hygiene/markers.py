"""Markers of turns that are typed into a turn: control tokens of some chat format, and labels as `### Response:`."""

import re
from collections.abc import Callable

from preflight.data.hygiene.turn import ANSWERS, Found, Scan, Turn, excerpt, prose, topics

CONTROL = re.compile(
    r"<\|(?:im_start|im_end|im_sep|endoftext|endofprompt|end_of_text|begin_of_text|start_header_id|end_header_id|eot_id|"
    r"eom_id|python_tag|user|assistant|system|observation|start_of_role|end_of_role|START_OF_TURN_TOKEN|"
    r"END_OF_TURN_TOKEN|start|end|channel|message|return|call)\|>|"
    r"<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>|<｜[^｜\n]{1,30}｜>|<s>(?=\s*\[INST)|</s>(?=\s*(?:\Z|<s>))"
)
# At the very start of a turn, the name of who speaks.
ASSISTANT = re.compile(
    r"\s*(?:#{2,4} ?(?:Assistant|Response|Answer|Output|AI|Bot)|(?:Assistant|ASSISTANT|AI|Bot|ChatGPT|GPT))\s*:\s"
)
USER = re.compile(r"\s*(?:#{2,4} ?(?:Human|User|Instruction|Question)|(?:Human|HUMAN|User|USER))\s*:\s")
OPENINGS = {"assistant": ASSISTANT, "completion": ASSISTANT, "user": USER}
# Inside a turn: a heading that only prompt formats have, or the name of a speaker behind an empty line.
HEADING = re.compile(r"^#{2,4} ?(?:Instruction|Human|User|Assistant|Response) ?:", re.MULTILINE)
SPEAKER = re.compile(r"\n\s*\n(?:Human|HUMAN|User|USER|Assistant|ASSISTANT) ?:\s")
LABEL = re.compile(r"(?:\A|\n\s*\n)\s*([A-Z][\w ]{0,24}):\s")
SPEAKERS = frozenset(("Human", "HUMAN", "User", "USER", "Assistant", "ASSISTANT", "AI", "Bot"))
# Who asks for one of these gets labels.
DIALOGUE = topics(
    r"dialog|conversation|script|screenplay|transcri|interview|role.?play|scene|play\b|skit|sketch|chat|bots?\b|prompt|"
    r"templat|fine.?tun|format|story|token|api\b|endpoint|http|documentation"
)
LIKELY = (
    r"<\||_of_turn>|INST\]|SYS>>|<s>|</s>|<｜|(?:^|\n)\s*#{2,4} ?[A-Z]\w+ ?:|"
    r"(?:^|\n)\s*(?:Human|HUMAN|User|USER|Assistant|ASSISTANT|AI|Bot|ChatGPT|GPT)\s*:"
)


def scan(special: str) -> Scan:
    """The scan for markers.

    Args:
        special: A pattern for the special tokens of the run's own tokenizer, which another check is about.
    """
    own = re.compile(special).fullmatch
    return Scan("marker", LIKELY, ANSWERS | {"user", "system", "developer"}, lambda turn: _find(turn, own))


def _find(turn: Turn, own: Callable[[str], object]) -> Found:
    text = prose(turn.text)
    for match in CONTROL.finditer(text):
        if not own(match.group()):
            yield match.group(), excerpt(text, *match.span())
            return
    if turn.role not in OPENINGS or DIALOGUE.search(turn.asked):
        return
    if opening := OPENINGS[turn.role].match(text):
        yield opening.group().strip(), excerpt(text)
    elif heading := HEADING.search(text):
        yield heading.group().strip(), excerpt(text, *heading.span())
    elif (speaker := SPEAKER.search(text)) and {*LABEL.findall(text)} <= SPEAKERS:  # else it is a list with labels
        yield speaker.group().strip(), excerpt(text, *speaker.span())

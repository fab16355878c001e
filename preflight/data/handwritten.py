"""Plain text that was put into a chat format by hand."""

from collections.abc import Callable

from preflight.data.render import Rendered
from preflight.data.shapes import Example
from preflight.model.tokenizer import Tokenizer

# What opens a question and an answer in formats that are in use. Words count only where a line starts with them.
FORMATS = (
    ("### Instruction:", "### Response:"),
    ("[INST]", "[/INST]"),
    ("<|im_start|>user", "<|im_start|>assistant"),
    ("<start_of_turn>user", "<start_of_turn>model"),
    ("<|start_header_id|>user", "<|start_header_id|>assistant"),
    ("<|user|>", "<|assistant|>"),
    ("<｜User｜>", "<｜Assistant｜>"),
    ("### Human:", "### Assistant:"),
    ("\nHuman:", "\nAssistant:"),
    ("\nUSER:", "\nASSISTANT:"),
    ("\nUser:", "\nAssistant:"),
)
ASKED, ANSWERED = "Stand0in", "Stand1in"


def looker(tokenizer: Tokenizer) -> Callable[[Example, Rendered], dict[str, str]]:
    """What finds the flags of plain text: a flag and the text that shows it."""
    between: tuple[str, ...] | None = None

    def look(example: Example, item: Rendered) -> dict[str, str]:
        nonlocal between
        found = {"prompt-learned": example.prompt} if example.prompt.strip() and item.spans[0][0] == 0 else {}
        if tokenizer.template is None:
            return found
        text = "\n" + item.text
        for opening, answer in FORMATS:
            if opening in text and answer in text:
                between = _between(tokenizer) if between is None else between
                if between and not any(own in text for own in between):
                    found["hand-written"] = text[text.find(opening) :].strip()
                break
        return found

    return look


def _between(tokenizer: Tokenizer) -> tuple[str, ...]:
    """What the template puts between a question and its answer: without and with a generation prompt."""
    asked, answered = {"role": "user", "content": ASKED}, {"role": "assistant", "content": ANSWERED}
    found = []
    for messages, prompt in (([asked, answered], False), ([asked], True)):
        try:
            text, _ = tokenizer.render(messages, generation_prompt=prompt)
        except Exception:  # a template is a program: whatever it raises, it says nothing about this
            continue
        found.append(text.partition(ASKED)[2].partition(ANSWERED)[0])
    return tuple(part for part in found if part.strip())

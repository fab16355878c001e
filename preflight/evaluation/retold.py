"""Two tokenizers, compared by what they make of texts and conversations, not by how their files are written."""

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from preflight.model.tokenizer import Tokenizer

TEXT = (
    "The quick brown fox, 3.14 × 2e-5; naïve café — 東京 Москва मौसम 🙂👩‍🚀\n\n\tdef f(x):  return x[0:10] # it's\r\n"
    "  two  spaces, CamelCase HTTP404 1234567890 <b>&amp;</b>\n"
)
SYSTEM = {"role": "system", "content": "Answer in one sentence."}
TALK = [
    {"role": "user", "content": "How do I clean my kettle?"},
    {"role": "assistant", "content": "With vinegar."},
    {"role": "user", "content": "  And my 2 lamps? "},
]
TALKS = (([SYSTEM, *TALK], True), (TALK, True), (TALK[:2], False))  # with the answer to open, or not


class Apart(NamedTuple):
    """Where two tokenizers differ.

    Attributes:
        text: What they were given.
        trained: What the run's makes of it.
        saved: What the other does.
        texts: How many they differ on.
    """

    text: str
    trained: str
    saved: str
    texts: int = 1


def other_ids(trained: Any, saved: Any, added: Iterable[str]) -> Apart | None:
    """The first text that has other ids: one of many scripts, and every added token.

    Args:
        trained: The run's tokenizer, as transformers has it.
        saved: The one to compare.
        added: Tokens that were added to either.
    """

    def ids(tokenizer: Any, text: str) -> list[int]:
        return list(tokenizer(text)["input_ids"])

    odd = [text for text in (TEXT, *added) if ids(trained, text) != ids(saved, text)]
    if not odd:
        return None
    return Apart(odd[0], f"{ids(trained, odd[0])[:8]}", f"{ids(saved, odd[0])[:8]}", len(odd))


def other_talk(trained: Tokenizer, saved: Any) -> Apart | None:
    """The first conversation that is rendered differently; those that the run's template refuses are left out."""
    if trained.template is None:
        return None
    for talk, opened in TALKS:
        wanted = _rendered(trained.hf, trained.template, talk, opened)
        found = _rendered(saved, None, talk, opened)
        if wanted is None or found == wanted:
            continue
        said = "an error" if saved.chat_template else "no template"
        return Apart("", repr(_part(wanted, found or "")), said if found is None else repr(_part(found, wanted)))
    return None


def _rendered(tokenizer: Any, template: str | None, talk: list[dict[str, str]], opened: bool) -> str | None:
    apply = tokenizer.apply_chat_template
    try:
        return str(apply(talk, chat_template=template, tokenize=False, add_generation_prompt=opened))
    except Exception:  # a template raises what it likes
        return None


def _part(text: str, other: str) -> str:
    """Where a text begins to differ from another, with a little before it."""
    same = len(os.path.commonprefix([text, other]))  # noqa: RUF071 - of texts, letter by letter
    return text[max(same - 10, 0) : same + 60]

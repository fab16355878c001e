r"""Reasoning: whether the final answer, behind the chain of thought, is the right one.

`evaluation.answer` finds it: the last match, its first group or all of it. Without one, the last of

- what stands in `\boxed{...}`, as in MATH (Hendrycks et al. 2021),
- the line behind `####`, as in GSM8K (Cobbe et al. 2021),
- what stands behind "answer is" or "answer:", to the end of the sentence,

the first kind that there is, or else the last number of the text. Numbers are compared by value (`1,000.0` is `1000`,
also with a currency or a unit beside it), all else without case, spaces and the marks around it.
"""

import re
from decimal import Decimal

from preflight.evaluation.metrics.metric import Measured, Metric, Texts, averaged

NUMBER = r"(?:(?<![\d.])-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<!\d)-?\.\d+)"
LINE = re.compile(r"####[ \t]*(\S[^\n]*)")
SAID = re.compile(r"\banswer(?:[ \t]+is|[ \t]*:)[ \t]*:?[ \t]*(\S.*?)(?=\.(?:\s|$)|\n|$)", re.IGNORECASE)
# A number alone, behind words and a currency, before a percent sign and words: not `2x`, `\sqrt{2}` or `1/2`.
ALONE = re.compile(rf"(?:[^\W\d]+(?: ?[=:])? )*[$€£¥]? ?({NUMBER}) ?[%°€£¥]?(?: [^\W\d]+)*")
BEFORE = " \t\n*_`$\"'("
AFTER = BEFORE[:-1] + ").,;:!"


def final(text: str, pattern: str | None = None) -> str | None:
    """The final answer in a text, normalised; None if there is none."""
    if pattern is not None:
        matches = list(re.finditer(pattern, text))
        if not matches:
            return None
        last = matches[-1]
        return normal((last[1] if last.re.groups else last[0]) or "")
    for stated in (_boxed(text), *(kind.findall(text)[-1:] for kind in (LINE, SAID))):
        if stated:
            return normal(stated[0])
    numbers = re.findall(NUMBER, text)
    return normal(numbers[-1]) if numbers else None


def normal(text: str) -> str:
    """An answer as it is compared."""
    text = text.replace("\\$", "$").replace("\\%", "%").lstrip(BEFORE).rstrip(AFTER)
    alone = ALONE.fullmatch(" ".join(text.split()))
    if alone:
        return f"{Decimal(alone[1].replace(',', '')).normalize() + 0:f}"
    return re.sub(r"\s+", "", text).casefold()


def answer_accuracy(texts: Texts) -> Measured:
    """The share of final answers that are right; an expected text without one is the answer as a whole."""
    pattern = texts.settings.answer
    said = [final(text, pattern) for text in texts.answers]
    right = [_wanted(text, pattern) for text in texts.expected]
    each = [float(one is not None and one == other) for one, other in zip(said, right, strict=True)]
    return averaged(each, {"no answer": said.count(None)})


def _wanted(text: str, pattern: str | None) -> str:
    found = final(text, pattern)
    return normal(text) if found is None else found


def _boxed(text: str) -> list[str]:
    r"""What stands in the last `\boxed{...}`, braces within it included."""
    _, mark, rest = text.rpartition("\\boxed{")
    depth = 1 if mark else 0
    for place, sign in enumerate(rest if mark else ""):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if not depth:
            return [rest[:place]]
    return []


METRICS = (Metric("answer_accuracy", "Right final answers", answer_accuracy),)

"""Secrets: keys and tokens whose form only a real one has, found by Kingfisher's rules. Scanning is offline."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate
from typing import Any

from preflight.data.hygiene.turn import Turn

LIKELY = r"[A-Za-z0-9_-]{20}|PRIVATE KEY-----"
TOKEN = re.compile(r"[A-Za-z0-9_-]{20,}|PRIVATE KEY-----")
MIXED = re.compile(r"[A-Za-z]\d+[A-Za-z]|A[KS]IA|hf_|PRIVATE")  # random letters and digits, not words and years
DUMMY = re.compile(r"example|sample|dummy|x{5}|\*{3}|\.{3}|123456|abcdef|your|test|(.)\1{5}", re.IGNORECASE)
# Tokens that stand in every tutorial and are void after hours, and names and places that are no secrets.
HARMLESS = re.compile(r"jwt|public|-(?:url|id|name|host|domain)(?:\.\d)?$")
BETWEEN = "\n\n\n\n"  # between texts, so that nothing is found across two of them


def look(turns: Sequence[Turn]) -> Iterator[tuple[Turn, str, str, str]]:
    """The secrets in these turns, each at most once a turn: the turn, the kind, the rule and the masked secret."""
    suspects = [turn for turn in turns if any(MIXED.search(token) for token in TOKEN.findall(turn.text))]
    if not suspects:
        return
    texts = [(turn.text + BETWEEN).encode("utf-8", "replace") for turn in suspects]
    starts = [0, *accumulate(map(len, texts))]
    told: set[tuple[int, str]] = set()
    for found in _scanner().scan(b"".join(texts)):
        rule = found.rule_id.rpartition(".")[2].rpartition("/")[2]
        at = bisect_right(starts, found.location["start_offset"]) - 1
        if found.visible and not HARMLESS.search(rule) and (at, rule) not in told and not DUMMY.search(found.secret):
            told.add((at, rule))
            yield suspects[at], "secret", rule, masked(found.secret)


def masked(secret: str) -> str:
    """What of a secret may be shown: how it begins, and how long it is."""
    head = secret.lstrip("-")[:4]
    return f"{head}… ({len(secret)} characters)"


@cache
def _scanner() -> Any:
    """Rules of high confidence only: a known prefix or structure, no guess by entropy. Compiling them takes 2 s."""
    from kingfisher_sdk import Rules, Scanner

    return Scanner(Rules(confidence="high", cache=False), base64=False)

#!/usr/bin/env python3
"""Write the example data set of the SmolLM2 run: customer support triage for an invented maker of coffee machines.

Each row is a conversation in the OpenAI ``messages`` format plus a ``task_type``. A customer writes to the (made up)
company Tarnwick, and every assistant turn answers in the same four-line house format, see ``HOUSE_FORMAT``.

The content is hand-written and lives next to this file: ``phrases/<task_type>.txt`` holds the situations and
``phrases/handbook.md`` the facts all the answers agree with. This script reads the situations, fills in order numbers,
machines and durations, adds a little everyday noise, splits, shuffles, checks and writes::

    python examples/smollm2/make_data.py            # rewrites data/train.jsonl and data/validation.jsonl
    python examples/smollm2/make_data.py --report   # the same, and prints counts and the highest similarity

Only the standard library is used and the seed is fixed, so that the files come out byte for byte the same.

The situation files are plain text, one item a line, `{name}` is a slot and `[this|that]` a choice:

    @ urgency slot=a/b/c slot=2..9   a new situation, with the values its slots may take
    ? text / ?? text                 one way to ask it (each becomes a row of its own); ?? is left exactly as it is
    ! text                           the reply; with two of them each wording has its own
    = text                           the next step
    +2 urgency                       a further turn for the second way to ask it; followed by ?, ! and = again
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
SEED = 20250611
VALIDATION_PER_TYPE = 8  # validation rows of each task type; all the others train
SYSTEM_SHARE = 0.4
MAX_SIMILARITY = 0.7

# task type (and file name) -> the Topic line of its answers
TOPICS = {
    "billing": "Billing",
    "brewing": "Brewing",
    "cleaning": "Cleaning",
    "delivery": "Delivery",
    "fault": "Machine fault",
    "other": "Other",
    "returns": "Returns",
    "warranty": "Warranty",
}

HOUSE_FORMAT = (
    r"\ATopic: (?:Billing|Brewing|Cleaning|Delivery|Machine fault|Other|Returns|Warranty)\n"
    r"Urgency: (?:low|normal|high)\n"
    r"Reply: [A-Z0-9][^\n]{20,}[.!?]\n"
    r"Next step: [A-Z][^\n.!?]*(?:\.\d[^\n.!?]*)*\.\Z"
)
HOUSE_FORMAT_RE = re.compile(HOUSE_FORMAT)

# what the slot {p} can be asked for, as in {p.price}; the same numbers as in phrases/handbook.md
PRODUCTS = {
    "Ember": {"price": "449 euros", "often": "every 8 weeks", "mins": "25", "repair": "95 euros"},
    "Otto": {"price": "699 euros", "often": "when the orange drop lights up", "mins": "35", "repair": "129 euros"},
    "Harbour": {"price": "169 euros", "often": "every 12 weeks", "mins": "30", "repair": "49 euros"},
    "Pebble": {"price": "89 euros", "often": "every 12 weeks", "mins": "15"},
    "Flint": {"price": "139 euros", "repair": "45 euros"},
    "Heron": {"price": "79 euros", "often": "every 16 weeks", "mins": "15"},
}

SYSTEM_PROMPTS = (
    "You are the support desk of Tarnwick, a small maker of home coffee machines. Sort each message by topic and "
    "urgency, then give a short reply and one next step.",
    "You answer customers of Tarnwick, the maker of the Ember, Otto, Harbour, Pebble, Flint and Heron. Use the house "
    "format: Topic, Urgency, Reply, Next step.",
    "Tarnwick customer support. Always answer in English with the four lines Topic, Urgency, Reply and Next step.",
    "You triage the messages of Tarnwick customers. Be friendly and concrete, follow the handbook, and kindly decline "
    "what has nothing to do with our machines or orders.",
    "Support triage for Tarnwick coffee machines. One topic, one urgency, two to four sentences, one next step.",
)
OPENERS = (
    "Hi,", "Hello,", "Hi there!", "Good morning!", "Hey Tarnwick team,", "Dear support team,", "Hello again.",
    "Good evening,", "Hey,", "Hi, hope you can help.", "Hello Tarnwick,", "Morning!",
)  # fmt: skip
CLOSERS = (
    "Thanks!", "Thanks in advance.", "Thank you very much.", "Cheers", "Please let me know.", "Many thanks, Jo",
    "Best regards, Ines", "I'd be grateful for a quick answer.", "Thx", "Kind regards", "Hope that makes sense.",
)  # fmt: skip

CHOICE_RE = re.compile(r"\[([^\[\]|]*(?:\|[^\[\]|]*)+)\]")
SLOT_RE = re.compile(r"\{([a-z]+)(?:\.([a-z]+))?\}")
FORBIDDEN_RE = re.compile(r"\{\{|\{[a-z.]+\}|</?[a-z]+>|\w@\w|As an AI|Human:|Assistant:|\ufffd|Ã|  |\[[^\]]*\|")


@dataclass
class Turn:
    """One question with its answer; the question of a first turn comes in several wordings."""

    urgency: str
    asks: list[tuple[str, bool]] = field(default_factory=list)  # text, may it be seasoned
    replies: list[str] = field(default_factory=list)  # one for all the wordings, or one for each
    steps: list[str] = field(default_factory=list)


@dataclass
class Situation:
    """A first turn and the turns that may follow, by the number of the wording they belong to."""

    task_type: str
    slots: dict[str, list[str]]
    first: Turn
    later: dict[int, list[Turn]] = field(default_factory=dict)


def read_slots(words: list[str]) -> dict[str, list[str]]:
    slots: dict[str, list[str]] = {}
    for word in words:
        name, _, values = word.partition("=")
        if ".." in values:
            low, high = values.split("..")
            slots[name] = [str(number) for number in range(int(low), int(high) + 1)]
        else:
            slots[name] = values.split("/")
    return slots


def read_situations(task_type: str) -> list[Situation]:
    situations: list[Situation] = []
    turn: Turn | None = None
    path = HERE / "phrases" / f"{task_type}.txt"
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        mark, _, rest = line.partition(" ")
        rest = rest.replace("\\n", "\n")
        if mark == "@":
            urgency, *words = rest.split()
            turn = Turn(urgency)
            situations.append(Situation(task_type, read_slots(words), turn))
        elif mark.startswith("+") and situations:
            turn = Turn(rest.strip())
            situations[-1].later.setdefault(int(mark[1:]) - 1, []).append(turn)
        elif turn is not None and mark in ("?", "??"):
            turn.asks.append((rest, mark == "?"))
        elif turn is not None and mark == "!":
            turn.replies.append(rest)
        elif turn is not None and mark == "=":
            turn.steps.append(rest)
        elif line.strip():
            raise SystemExit(f"{path}:{number}: cannot read {line!r}")
    return situations


def fill(text: str, values: dict[str, str], rng: random.Random, shift: int = 0) -> str:
    """Take one of each choice, then put the values into the slots.

    The same rng state with another shift takes the other side of every choice: two wordings, two different answers.
    """
    while match := CHOICE_RE.search(text):
        options = match[1].split("|")
        option = options[(rng.randrange(len(options)) + shift) % len(options)]
        text = text[: match.start()] + option + text[match.end() :]

    def value(match: re.Match[str]) -> str:
        name, attribute = match[1], match[2]
        return PRODUCTS[values[name]][attribute] if attribute else values[name]

    return re.sub(r"\b([Aa]) (Ember|Otto)\b", r"\1n \2", SLOT_RE.sub(value, text)).strip()


def with_typo(text: str, rng: random.Random) -> str:
    """Swap two letters inside one longer word, or drop one."""
    words = text.split(" ")
    longer = [index for index, word in enumerate(words) if word.isalpha() and word.islower() and len(word) > 4]
    if longer:
        index = rng.choice(longer)
        word = words[index]
        at = rng.randrange(1, len(word) - 2)
        swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        words[index] = rng.choice([swapped, word[:at] + word[at + 1 :]])
    return " ".join(words)


def season(text: str, rng: random.Random, calm: bool) -> str:
    """Write the message the way people do: a greeting, a thank-you, a slip of the finger."""
    formal = text[0].isupper() and text[-1] in ".?!"
    if formal and rng.random() < 0.28:
        opener, first = rng.choice(OPENERS), text.split(" ", maxsplit=1)[0]
        if opener.endswith(",") and first[1:].islower() and not first.startswith("I'") and first not in PRODUCTS:
            text = text[0].lower() + text[1:]
        text = f"{opener} {text}"
    if formal and calm and "hank" not in text and "!!" not in text and rng.random() < 0.2:
        text = f"{text} {rng.choice(CLOSERS)}"
    if rng.random() < 0.12:
        text = with_typo(text, rng)
    if formal and rng.random() < 0.06:
        text = text[:1].lower() + text[1:].rstrip(".")
    return text


def answer(task_type: str, turn: Turn, values: dict[str, str], shift: int) -> str:
    """The house format, with the reply and the sides of its choices that belong to this wording."""
    rng = random.Random(turn.replies[0])
    reply = fill(turn.replies[shift % len(turn.replies)], values, rng, shift)
    step = fill(turn.steps[shift % len(turn.steps)], values, rng, shift)
    return f"Topic: {TOPICS[task_type]}\nUrgency: {turn.urgency}\nReply: {reply}\nNext step: {step}"


def build_row(situation: Situation, wording: int, rng: random.Random) -> dict[str, object]:
    """One conversation: the question in one of its wordings, its answer, and the turns that follow."""
    values = {name: rng.choice(options) for name, options in situation.slots.items()}
    values |= {"o": f"TW-{rng.randrange(20000, 99999)}", "r": f"R-{rng.randrange(1000, 9999)}"}
    messages: list[dict[str, str]] = []
    for depth, turn in enumerate([situation.first, *situation.later.get(wording, [])]):
        ask, seasoned = turn.asks[wording if depth == 0 else 0]
        text, calm = fill(ask, values, rng), turn.urgency != "high"
        messages.append({"role": "user", "content": season(text, rng, calm) if seasoned and depth == 0 else text})
        messages.append({"role": "assistant", "content": answer(situation.task_type, turn, values, wording)})
    return {"messages": messages, "task_type": situation.task_type}


def build(seed: int = SEED) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """All rows, split so that no situation of the validation set is ever trained on."""
    rng = random.Random(seed)
    train: list[dict[str, object]] = []
    validation: list[dict[str, object]] = []
    for task_type in TOPICS:
        situations = read_situations(task_type)
        rng.shuffle(situations)
        held_out = 0
        for situation in situations:
            rows = [build_row(situation, wording, rng) for wording in range(len(situation.first.asks))]
            if held_out + len(rows) <= VALIDATION_PER_TYPE:
                held_out += len(rows)
                validation += rows
            else:
                train += rows
    for rows in (train, validation):
        rng.shuffle(rows)
        prompts = [SYSTEM_PROMPTS[index % len(SYSTEM_PROMPTS)] for index in range(round(SYSTEM_SHARE * len(rows)))]
        for row, prompt in zip(rng.sample(rows, len(prompts)), prompts, strict=True):
            messages = row["messages"]
            assert isinstance(messages, list)
            messages.insert(0, {"role": "system", "content": prompt})
    return train, validation


def grams(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower()) or list(text)
    return {tuple(words[index : index + 5]) for index in range(max(1, len(words) - 4))}


def most_similar(texts: list[str]) -> tuple[float, str, str]:
    """The pair with the highest Jaccard similarity of its word 5-grams."""
    seen: dict[tuple[str, ...], list[int]] = {}
    sets = [grams(text) for text in texts]
    best = (0.0, "", "")
    for index, own in enumerate(sets):
        for other in {other for gram in own for other in seen.get(gram, [])}:
            similarity = len(own & sets[other]) / len(own | sets[other])
            best = max(best, (similarity, texts[other], texts[index]))
        for gram in own:
            seen.setdefault(gram, []).append(index)
    return best


def messages_of(row: dict[str, object], role: str) -> list[str]:
    messages = row["messages"]
    assert isinstance(messages, list)
    return [message["content"] for message in messages if message["role"] == role]


def check(rows: list[dict[str, object]]) -> dict[str, float]:
    """Stop with a message where a row breaks a rule; return the highest similarities."""
    problems: list[str] = []
    for row in rows:
        asked = ""
        for ask, content in zip(messages_of(row, "user"), messages_of(row, "assistant"), strict=True):
            asked += ask + "\n"
            reply = content.split("\n")[2].removeprefix("Reply: ") if content.count("\n") == 3 else ""
            if not HOUSE_FORMAT_RE.match(content):
                problems.append(f"not in the house format: {content!r}")
            if not 2 <= len(re.findall(r"[.!?](?= |$)", reply)) <= 4:
                problems.append(f"not two to four sentences: {reply!r}")
            for number in re.findall(r"\b(?:TW|R|T)-\d{4,5}", content):
                if number not in asked:
                    problems.append(f"{number} was never mentioned by the customer: {content!r}")
            if FORBIDDEN_RE.search(content) or ("\n" not in ask and FORBIDDEN_RE.search(ask)):
                problems.append(f"something that must not be there: {ask!r} {content!r}")
    wholes = ["\n".join(messages_of(row, "user") + messages_of(row, "assistant")) for row in rows]
    groups = {
        "user messages": [text for row in rows for text in messages_of(row, "user")],
        "answers": [text for row in rows for text in messages_of(row, "assistant")],
        "rows": wholes,
    }
    highest: dict[str, float] = {}
    for name, texts in groups.items():
        if len(set(texts)) < len(texts):
            problems.append(f"{name}: {sorted({text for text in texts if texts.count(text) > 1})} more than once")
        similarity, one, other = most_similar(texts)
        highest[name] = similarity
        if similarity >= MAX_SIMILARITY:
            problems.append(f"{name}: {similarity:.2f} between {one!r} and {other!r}")
    if problems:
        raise SystemExit("\n".join(problems))
    return highest


def report(name: str, rows: list[dict[str, object]]) -> None:
    types: dict[str, int] = {}
    turns: dict[int, int] = {}
    for row in rows:
        types[str(row["task_type"])] = types.get(str(row["task_type"]), 0) + 1
        turns[len(messages_of(row, "assistant"))] = turns.get(len(messages_of(row, "assistant")), 0) + 1
    system = sum(bool(messages_of(row, "system")) for row in rows)
    print(f"{name}: {len(rows)} rows, {system} with a system prompt, answers per row {dict(sorted(turns.items()))}")
    print(f"  {dict(sorted(types.items()))}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Write data/train.jsonl and data/validation.jsonl.")
    parser.add_argument("--report", action="store_true", help="also print counts and the highest similarity")
    arguments = parser.parse_args()
    train, validation = build()
    highest = check(train + validation)
    for name, rows in (("train", train), ("validation", validation)):
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        with (HERE / "data" / f"{name}.jsonl").open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
        if arguments.report:
            report(name, rows)
    if arguments.report:
        print("highest 5-gram similarity:", {name: round(value, 3) for name, value in highest.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Answers that are no answers: empty ones, echoes, loops, cut ones, and what assistants say about themselves."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from preflight.data.conversation import REASONING
from preflight.data.hygiene.turn import ANSWERS, LEARNED, Found, Scan, Turn, excerpt, topics

ECHO = 40  # characters of a prompt that isn't repeated by chance, as a short sentence to correct may be
SAME = 40  # characters of a turn that isn't said twice by chance, as "yes, please" may be
LONG = 200  # characters of an answer that has sentences
LAST_LINE = 80  # characters of a line that ends as prose does; lines of verse, lists and tables are shorter
LINK = 100  # characters at the end of a text in which a cut link begins
COPIES = 4  # so many times in a row is a loop
WINDOW = 24  # characters by which a loop is found

Told = Iterator[tuple[Turn, str, str, str]]  # the turn, the kind, the variety and an excerpt


def look(turns: Sequence[Turn]) -> Told:
    """The faults that the turns of one example show by their ends and beginnings."""
    asked = ""
    seen: set[tuple[str, str]] = set()
    for turn in turns:
        text = turn.text.strip()
        answer = turn.role in ANSWERS
        if not text:
            if turn.role == "user" or (answer and turn.at >= turn.example.answer_from and not _carries(turn)):
                yield turn, "empty", "answer" if answer else "question", repr(turn.text[:20])
            continue
        if answer:
            if len(asked) >= ECHO and len(text) > len(asked) and text.startswith(asked):
                yield turn, "echo", "", excerpt(asked)
            yield from _ends(turn, text)
        if turn.role in LEARNED and len(text) >= LONG and (loop := looped(text)) and not REPEAT.search(turn.asked):
            yield turn, "loop", "", excerpt(loop)
        if len(text) >= SAME and (answer or turn.role == "user") and not turn.message.get("tool_calls"):
            if (turn.role, text) in seen:
                yield turn, "repeat", "", excerpt(text)
            seen.add((turn.role, text))
        if turn.role in ("user", "prompt"):
            asked = text


def _carries(turn: Turn) -> bool:
    """Whether a turn without text says something all the same."""
    return any(map(turn.message.get, ("tool_calls", "function_call", *REASONING)))


# --- ends -------------------------------------------------------------------------------------------------------------

LISTED = re.compile(r"\s*(?:[-*•+>|#$]|\d+[.):]|\w[.)] |[A-Z][\w ]{0,24}: )")
URL = re.compile(r"(?:https?:(?:/|//|//www\.?)?|\]\(https?:[^\s)]*)\Z")
GOES_ON = frozenset(",-–—(/&+=")
NO_STOPS = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff]")  # Thai, Lao, Tibetan, Burmese, Khmer


def _ends(turn: Turn, text: str) -> Told:
    """How an answer ends. `prose` isn't a fault: it counts the answers that should end with a full stop."""
    if text.count("```") % 2:
        yield turn, "cut", "fence", _tail(text)
    elif "http" in text[-LINK:] and URL.search(text, max(len(text) - LINK, 0)):
        yield turn, "cut", "link", _tail(text)
    elif len(text) >= LONG and is_prose(text):
        yield turn, "prose", "", ""
        if goes_on(text):
            yield turn, "cut", "sentence", _tail(text)


def is_prose(text: str) -> bool:
    """Whether a text's last line is part of a paragraph, in a script that ends sentences with a mark."""
    start = text.rfind("\n") + 1
    return (
        len(text) - start >= LAST_LINE and not LISTED.match(text, start) and not NO_STOPS.search(text, len(text) - 20)
    )


def goes_on(text: str) -> bool:
    """Whether a text ends in the middle of a sentence: with a letter, a digit, or a mark that asks for more."""
    text = text.rstrip("\ufe0f\u200d")  # what may follow on an emoji
    last = text[max(text.rfind(" "), text.rfind("\n")) + 1 :] or "."
    if last.startswith(("#", "@", "http", "www.")):
        return False
    return last[-1] in GOES_ON or unicodedata.category(last[-1])[0] in "LNM"


def _tail(text: str) -> str:
    return "…" + " ".join(text[-60:].split())


# --- loops ------------------------------------------------------------------------------------------------------------

REPEAT = topics(r"repeat|times\b|copies|chant|song|lyrics|poem|chorus")


def looped(text: str) -> str | None:
    """What a text says over and over: four copies and more in a row, at its end or in its middle."""
    for at in (len(text) - WINDOW, len(text) // 2):
        window = text[at : at + WINDOW]
        if text.count(window) < 2:  # cheap, and so for nearly every text
            continue
        period = at - text.rfind(window, 0, at + WINDOW - 1)
        first = at - period * (COPIES - 1)
        copy = text[at - period : at]
        if first >= 0 and text[first:at] == copy * (COPIES - 1) and sum(map(str.isalpha, set(copy))) > 1:
            return copy
    return None


# --- what assistants say about themselves -----------------------------------------------------------------------------

NOT = r"(?:(?:['’]m| am) (?:not|unable)| can(?:no|['’])t| do(?: no|n['’])t)"
HELP = (
    r"(?:(?: can(?:no|['’])t|(?:['’]m| am) (?:not able|unable) to) (?:assist|help (?:you )?with (?:that|this)|fulfil|"
    r"comply|provide|generate|engage|create|complete|answer|discuss|retrieve|access|browse|perform)|"
    r" do(?: no|n['’])t have (?:access|the (?:cap)?ability|personal|real.?time))"
)
BOILERPLATE = re.compile(
    r"(?P<self>\b[Aa]s an? (?:large )?(?:AI|artificial intelligence)(?: language)? model\b|"
    r"\b[Aa]s a (?:large )?language model,? I\b|"
    rf"\b[Aa]s an AI(?: assistant| chatbot)?,? I{NOT}|"
    r"\bI(?:['’]m| am) (?:just |only )?an AI(?: language model| [Aa]ssistant)?,?(?: and| so)?(?: so)?(?: I)?"
    rf"(?:{NOT}| unable)|"
    r"\bI(?:['’]m| am) (?:ChatGPT|a (?:large )?language model)|\bI(?:['’]m| am| was)\b[^.\n]{0,60} by OpenAI\b|"
    r"\bAls KI|\bEn tant qu(?:e modèle de langage|['’]IA\b)|\bComo (?:um |un )?modelo de l[ei]ngua[jg]em?|"
    r"作为(?:一个)?(?:AI|人工智能|大型)?语言模型|\bКак (?:ИИ|языковая модель))|"
    r"(?P<cutoff>\b[Mm]y (?:knowledge|training)(?: data)? (?:cut-?off|only goes|ends)|"
    r"\b[Aa]s of my (?:last|latest) (?:knowledge )?(?:update|training))|"
    rf"(?P<refusal>\A\s*(?:(?:I(?:['’]m| am) (?:very |really |so )?)?[Ss]orry,? (?:but )?)?I{HELP})"
)


def _boilerplate(turn: Turn) -> Found:
    if found := BOILERPLATE.search(turn.text):
        yield str(found.lastgroup), excerpt(turn.text, *found.span())


BOILER = Scan(
    "boilerplate",
    r"(?i:\bas an? (?:large|ai|artificial|language)|(?:'|’| a)m (?:(?:just |only )?an ai\b|chatgpt|a la)|by openai|"
    r"\bals ki|en tant qu|como (?:um |un )?modelo|语言模型|\bкак (?:ИИ|языковая)|my (?:knowledge|training)|"
    r"as of my l|^\s*(?:i(?:'|’| a)m (?:very |really |so |not |un|sorry)|sorry|i can(?:not|'t|’t)|i do(?:n| n)))",
    LEARNED,
    _boilerplate,
)

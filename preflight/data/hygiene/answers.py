"""Answers that are no answers: empty ones, echoes, loops, cut ones, and what assistants say about themselves."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from preflight.data.hygiene.turn import ANSWERS, Found, Scan, Turn, excerpt, topics

ECHO = 40  # characters of a prompt that isn't repeated by chance, as a short sentence to correct may be
SAME = 40  # characters of a turn that isn't said twice by chance, as "continue" or "yes, please" may be
LONG = 200  # characters of an answer that has sentences
LAST_LINE = 80  # characters of a line that ends as prose does; lines of verse, lists and tables are shorter
COPIES = 4  # so many times in a row is a loop
WINDOW = 24  # characters by which a loop is found
PAYLOAD = ("tool_calls", "function_call", "reasoning_content", "reasoning", "thinking", "audio")

# --- structure: what a look at each turn's ends shows -----------------------------------------------------------------


def look(turns: Sequence[Turn]) -> Iterator[tuple[Turn, str, str, str]]:
    """The faults in the turns of one example: the turn, the kind, the variety and an excerpt."""
    asked = ""
    seen: set[tuple[str, str]] = set()
    for turn in turns:
        text = turn.text.strip()
        answers = turn.role in ANSWERS
        if not text:
            if answers and turn.at >= turn.example.answer_from and not _carries(turn):
                yield turn, "empty", "answer", repr(turn.text[:20])
            elif turn.role == "user":
                yield turn, "empty", "question", repr(turn.text[:20])
            continue
        if answers:
            if len(asked) >= ECHO and len(text) > len(asked) and text.startswith(asked):
                yield turn, "echo", "", excerpt(asked)
            if len(text) >= LONG:
                yield from _ends(turn, text)
                if (loop := looped(text)) and not REPEAT.search(turn.asked):
                    yield turn, "loop", "", excerpt(loop)
            elif text.count("```") % 2:
                yield turn, "cut", "fence", _tail(text)
        if len(text) >= SAME and (answers or turn.role == "user") and not turn_calls(turn):
            if (turn.role, text) in seen:
                yield turn, "repeat", "", excerpt(text)
            seen.add((turn.role, text))
        if turn.role in ("user", "prompt"):
            asked = text


def turn_calls(turn: Turn) -> bool:
    """Whether the turn calls tools: the same words may then stand before each call."""
    return bool(turn.example.messages and turn.example.messages[turn.at].get("tool_calls"))


def _carries(turn: Turn) -> bool:
    """Whether a turn without text says something all the same."""
    return bool(turn.example.messages) and any(turn.example.messages[turn.at].get(key) for key in PAYLOAD)


# --- ends -------------------------------------------------------------------------------------------------------------

LISTED = re.compile(r"(?:[-*•+>|#$]|\d+[.):]|\w[.)] |[A-Z][\w ]{0,24}: )")
LINK = 100  # characters at the end of a text in which a link may begin
URL = re.compile(r"(?:https?:(?:/|//|//www\.?)?|\]\(https?:[^\s)]*)\Z")
GOES_ON = frozenset(",-–—(/&+=")
NO_STOPS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u0f00-\u0fff]")  # Thai, Lao, Burmese, Khmer, Tibetan


def _ends(turn: Turn, text: str) -> Iterator[tuple[Turn, str, str, str]]:
    """How a long answer ends. `prose` isn't a fault: it counts the answers that should end with a full stop."""
    if text.count("```") % 2:
        yield turn, "cut", "fence", _tail(text)
    elif URL.search(text, len(text) - LINK):
        yield turn, "cut", "url", _tail(text)
    elif is_prose(text):
        yield turn, "prose", "", ""
        if goes_on(text):
            yield turn, "cut", "sentence", _tail(text)


def is_prose(text: str) -> bool:
    """Whether a text's last line is part of a paragraph, in a script that ends sentences with a mark."""
    line = text[text.rfind("\n") + 1 :]
    return len(line) >= LAST_LINE and not LISTED.match(line.lstrip()) and not NO_STOPS.search(line[-20:])


def goes_on(text: str) -> bool:
    """Whether a text ends in the middle of a sentence: with a letter, a digit, or a mark that asks for more."""
    text = text.rstrip("\ufe0f\u200d")  # what follows on an emoji
    last = text[max(text.rfind(" "), text.rfind("\n")) + 1 :]
    if last.startswith(("#", "@", "http", "www.")):
        return False
    return text[-1:] in GOES_ON or unicodedata.category(text[-1:] or ".")[0] in "LNM"


def _tail(text: str) -> str:
    return "…" + " ".join(text[-60:].split())


# --- loops ------------------------------------------------------------------------------------------------------------


REPEAT = topics("repeat", "times\\b", "copies", "chant", "song", "lyrics", "poem", "chorus")


def looped(text: str) -> str | None:
    """What a text says over and over: at least four copies one behind the other, at its end or in its middle."""
    for at in (len(text) - WINDOW, len(text) // 2):
        window = text[at : at + WINDOW]
        if text.count(window) < COPIES:  # copies that overlap count once, so a short word over and over has enough too
            continue
        before = text.rfind(window, 0, at + WINDOW - 1)
        period = at - before
        if before < 0 or not 0 < period <= at:
            continue
        copy = text[at - period : at]
        first = at - period * (COPIES - 1)
        if first >= 0 and text[first:at] == copy * (COPIES - 1) and sum(letter.isalpha() for letter in set(copy)) > 2:
            return copy
    return None


# --- what assistants say about themselves -----------------------------------------------------------------------------

CANT = r"(?:can(?:no|['’])t|am (?:not able|unable)(?: to)?|['’]m (?:not able|unable)(?: to)?)"
HELP = r"(?:assist|help (?:you )?with (?:that|this)|fulfil|comply|provide|generate|engage|create|complete|answer|discuss|do that)"
BOILERPLATE = re.compile(
    r"(?P<self>\b[Aa]s an? (?:large |AI |artificial intelligence |language )+model\b|"
    rf"\b[Aa]s an AI(?: assistant| chatbot)?,? I(?: {CANT}| do(?: no|n['’])t)|"
    r"\bI(?:['’]m| am) (?:just |only )?an AI(?: language model)?(?:,| and| so)? (?:so )?(?:I )?(?:do|can|am|have)|"
    r"\bI(?:['’]m| am) (?:ChatGPT|a (?:large )?language model)|\b(?:developed|trained|created) by OpenAI\b|"
    r"[Aa]ls (?:ein )?(?:KI-)?Sprachmodell|[Ee]n tant qu(?:e modèle de langage|['’]IA)|"
    r"[Cc]omo (?:un )?modelo de lengua(?:je|gem)|作为(?:一个)?(?:AI|人工智能)|ИИ-модел|языковая модель, я)|"
    r"(?P<cutoff>\b[Mm]y (?:knowledge|training)(?: data)? (?:cut-?off|only goes|ends)|\b[Kk]nowledge cut-?off\b|"
    r"\b[Aa]s of my last (?:knowledge )?(?:update|training))|"
    rf"(?P<refusal>\A\s*(?:(?:I(?:['’]m| am) (?:very |really |so )?)?[Ss]orry,? (?:but )?)?I ?{CANT} {HELP})"
)
ABOUT_MODELS = topics(
    "language model", "llm", "chatgpt", "gpt", "openai", "artificial intelligence", "ai\\b", "machine learning"
)


def _boilerplate(turn: Turn) -> Found:
    if found := BOILERPLATE.search(turn.text):
        what = str(found.lastgroup)
        if what != "refusal" and ABOUT_MODELS.search(turn.asked) and "you" not in turn.asked.lower().split():
            return  # a text about models, not one of a model about itself
        yield what, excerpt(turn.text, *found.span())


BOILER = Scan(
    "boilerplate",
    r"(?i:as an? (?:large |ai|artificial|language)|i(?:'|’| a)m (?:just |only )?an ai|i(?:'|’| a)m (?:chatgpt|a large|a language)|"
    r"by openai|sprachmodell|en tant qu|como (?:un )?modelo|作为|ИИ-модел|языковая модель|knowledge cut|my (?:knowledge|training)|"
    r"as of my last|^\s*(?:i(?:'|’| a)m (?:very |really |so |not |un|sorry)|sorry|i can(?:not|'t|’t)))",
    ANSWERS,
    _boilerplate,
)

"""What became of a conversation in the rendered text: what is missing, what was added, and what of it is learned."""

import json
import re
from collections.abc import Callable
from typing import Any

from preflight.data.render import LEADING, Rendered
from preflight.data.shapes import Example, Message
from preflight.model.tokenizer import Tokenizer

REASONING = ("reasoning_content", "reasoning", "thinking")  # the keys that transformers takes for reasoning
TAGS = "think|thinking|thought|reasoning"
BLOCK = re.compile(rf"<({TAGS})>(.*?)</\1>|\[THINK\](.*?)\[/THINK\]", re.DOTALL)
EMPTY = re.compile(rf"<({TAGS})>\s*</\1>|\[THINK\]\s*\[/THINK\]|<\|channel>thought\s*<channel\|>")
EDGE = re.compile(rf"<(/?)(?:{TAGS})>|\[(/?)THINK\]")
SIGNS = ("think>", "thinking>", "thought>", "reasoning>", "THINK]", "<channel|>")  # cheap to look for
MIN_PROMPT = 12  # characters: a shorter prompt may stand in an answer by chance

Look = Callable[[Example, Rendered], dict[str, str]]


def looker(tokenizer: Tokenizer) -> Look:
    """What finds the flags of a conversation: a flag and the text that shows it."""
    special = tokenizer.special
    tokens = map(str, (*tokenizer.hf.all_special_tokens, *tokenizer.hf.added_tokens_decoder.values()))
    letters = {token[0] for token in tokens if special.fullmatch(token)} - {"<", "["}
    thinks = any(sign in (tokenizer.template or "") for sign in SIGNS)

    def walk(example: Example, text: str, found: dict[str, str]) -> bool:
        """Follow the messages through the text; whether there may be something about reasoning to be found."""
        cursor, changed = 0, False
        for message in example.messages:
            content = message["content"]
            at = text.find(content, cursor)
            if at >= 0:
                cursor = at + len(content)
            else:
                changed = True
                if not _survives(content, role := message["role"], text):
                    found.setdefault("system-lost" if role in LEADING else "text-lost", f"{role}: {content.strip()}")
            if len(message) > 2:
                changed = True
                _calls(message, text, cursor, found)
            # A single character is found at once, a word is not.
            if "<" in content or "[" in content or (letters and any(letter in content for letter in letters)):
                changed |= any(sign in content for sign in SIGNS)
                if typed := _typed(content, special):
                    found.setdefault("typed-special", typed)
        return changed

    def look(example: Example, item: Rendered) -> dict[str, str]:
        found: dict[str, str] = {}
        changed = walk(example, item.text, found)
        for tool in example.tools:
            name = function_of(tool).get("name")
            if isinstance(name, str) and name not in item.text:
                found.setdefault("tool-lost", name)
        _learned(example, item, found)
        if changed:
            _reasoning(example, item, found)
        elif thinks:
            _empty(item, found)
        return found

    return look


def _typed(content: str, special: re.Pattern[str]) -> str:
    """The first special token in a message, with what stands around it; those around reasoning belong there."""
    marks = (mark for mark in special.finditer(content) if not re.search("think|channel", mark.group(), re.IGNORECASE))
    return next((content[max(mark.start() - 30, 0) : mark.end() + 30] for mark in marks), "")


def said(example: Example) -> int:
    """How many characters of an example the assistant says, or stand in the completion of plain text."""
    if not example.messages:
        return len(example.completion)
    return sum([_size(message) for message in example.messages if message["role"] == "assistant"])


def _size(message: Message) -> int:
    more = () if len(message) == 2 else (*REASONING, "tool_calls")
    return len(message["content"]) + sum([len(_words(message.get(key))) for key in more])


def _words(value: Any) -> str:
    return value if isinstance(value, str) else str(value or "")


def _survives(content: str, role: str, text: str) -> bool:
    """Whether a message's words are in the rendered text, when they are not there letter by letter.

    Templates trim, quote tool results as JSON or write them in another notation, and part reasoning from the answer,
    which is looked at apart.
    """
    bare = content.strip()
    if role == "assistant":
        bare = _answer(bare)
    if bare in text or " ".join(bare.split()) in " ".join(text.split()):
        return True
    if any(json.dumps(bare, ensure_ascii=ascii)[1:-1] in text for ascii in (False, True)):
        return True
    if role != "tool":
        return False
    at = 0
    for word in re.findall(r"\w+", bare):  # one behind the other, whatever stands between them
        at = text.find(word, at) + len(word)
        if at < len(word):
            return False
    return True


def _answer(content: str) -> str:
    """What follows the reasoning."""
    closed = [edge.end() for edge in EDGE.finditer(content) if edge.group().startswith(("</", "[/"))]
    return content[closed[-1] :].strip() if closed else content


def function_of(tool: Any) -> dict[str, Any]:
    """The function of a tool or of a call, with name and more; empty if it is neither."""
    function = tool.get("function", tool) if isinstance(tool, dict) else None
    return function if isinstance(function, dict) else {}


def _calls(message: Message, text: str, cursor: int, found: dict[str, str]) -> None:
    """What became of a message's tool calls, which stand behind `cursor` in the text."""
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = function_of(call)
        name, arguments = function.get("name"), function.get("arguments")
        if isinstance(name, str) and text.find(name, cursor) < 0:
            found.setdefault("call-lost", name)
            continue
        if isinstance(arguments, str) and '"' in arguments:
            for ascii in (False, True):
                if (quoted := json.dumps(arguments, ensure_ascii=ascii)) in text:
                    found.setdefault("call-quoted", quoted)
        elif isinstance(arguments, dict):
            if missing := [str(key) for key in arguments if text.find(str(key), cursor) < 0]:
                found.setdefault("call-lost", f"{name}: {', '.join(missing)}")
            if (python := str(arguments)) != "{}" and python in text and python != json.dumps(arguments):
                found.setdefault("call-quoted", python)


def _learned(example: Example, item: Rendered, found: dict[str, str]) -> None:
    """Whether what is learned is the assistant's turns: no words of a prompt, and every answer."""
    spans, messages = item.spans, example.messages
    if len(spans) == 1 and spans[0] == (0, len(item.text)):
        asked = next((message["content"] for message in messages if message["role"] != "assistant"), None)
        if asked is not None:
            found["prompt-learned"] = asked
        return
    turns, own, shortest = 0, 0, len(item.text)
    for index, message in enumerate(messages):
        size = len(message["content"])
        if message["role"] != "assistant":
            if MIN_PROMPT <= size < shortest:
                shortest = size
        elif index >= example.answer_from:
            turns, own = turns + 1, own + size
    more = sum([stop - start for start, stop in spans]) - own
    if spans and (more < 0 or more >= shortest or len(spans) != turns):
        _compare(example, item, found)


def _compare(example: Example, item: Rendered, found: dict[str, str]) -> None:
    """The same, letter by letter, for what is longer or shorter than the answers."""
    learned = "\0".join([item.text[start:stop] for start, stop in item.spans])
    answers = [m for m in example.messages[example.answer_from :] if m["role"] == "assistant"]
    own = "\0".join(_words(value) for message in answers for value in message.values())
    prompts = (m["content"].strip() for m in example.messages if m["role"] != "assistant")
    if shown := next((p for p in prompts if len(p) >= MIN_PROMPT and p in learned and p not in own), None):
        found["prompt-learned"] = shown
    if "text-lost" not in found:
        words = (_answer(message["content"].strip()) for message in answers)
        if lost := next((answer for answer in words if answer and answer not in learned), None):
            found["turn-not-learned"] = lost


def _reasoning(example: Example, item: Rendered, found: dict[str, str]) -> None:
    """What became of reasoning: kept, dropped, or made up by the template."""
    text = item.text
    answers = [m for m in example.messages[example.answer_from :] if m["role"] == "assistant"]
    for message in answers:
        thought = next((value for key in REASONING if (value := message.get(key)) is not None), None)
        if thought is None and (block := BLOCK.search(message["content"])):
            thought = block.group(2) or block.group(3)
        if isinstance(thought, str) and thought.strip() not in text:
            found.setdefault("reasoning-lost" if message is answers[-1] else "reasoning-dropped", thought.strip())
    _empty(item, found, sum(len(EMPTY.findall(message["content"])) for message in example.messages))
    if any(EDGE.search(message["content"]) for message in example.messages if message["role"] != "assistant"):
        return
    edges = [edge.group().startswith(("</", "[/")) for edge in EDGE.finditer(text)]
    if edges != [False, True] * (len(edges) // 2):
        at = next(EDGE.finditer(text)).start()
        found["unbalanced-think"] = text[max(at - 40, 0) : at + 80]


def _empty(item: Rendered, found: dict[str, str], given: int = 0) -> None:
    """Whether more empty thinking blocks are learned than the messages have."""
    blocks = [block for start, stop in item.spans for block in EMPTY.finditer(item.text, start, stop)]
    if len(blocks) > given:
        found["empty-think"] = item.text[blocks[0].start() : blocks[0].end() + 40]

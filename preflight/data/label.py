"""Labels: from an example to the ids the model reads and the ids it learns.

Supervised is the assistant's content and the token that ends its turn, nothing after it, unless the template's own
generation markers say otherwise. Everything here works on a batch; the per-token part is numpy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from preflight.data.shapes import Example, Message
from preflight.model.tokenizer import Tokenizer

IGNORE = -100  # what torch's cross entropy skips
Ids = npt.NDArray[np.int32]
Span = tuple[int, int]


class RenderError(Exception):
    """The template refuses a conversation; the message is the template's."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """An example as text.

    Attributes:
        text: All of it.
        spans: (start, end) characters to learn, in order, each up to and including the end of its turn.
        prefix_ok: False if a turn is rendered differently once other turns follow it.
    """

    text: str
    spans: tuple[Span, ...]
    prefix_ok: bool = True


@dataclass(frozen=True, slots=True)
class Labelled:
    """An example as the model sees it.

    Attributes:
        ids: Token ids, cut at `max_length`.
        labels: The ids to learn, -100 elsewhere.
        length: Tokens before the cut.
        answer: Supervised tokens before the cut.
        matches: Whether the supervised ids decode to exactly the text that is to be learned (before the cut).
        ends: Whether each learned span ends with a token that stops a generation (before the cut).
    """

    ids: Ids
    labels: Ids
    length: int
    answer: int
    matches: bool
    ends: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that decide labels, as TRL's `SFTConfig` names them.

    Attributes:
        assistant_only_loss: Learn only the assistant's turns of a conversation.
        completion_only_loss: Learn only the completion; None means yes for prompt-completion shapes.
        max_length: Cut longer examples; None for never.
        truncation_mode: `keep_start` or `keep_end`.
    """

    assistant_only_loss: bool = False
    completion_only_loss: bool | None = None
    max_length: int | None = field(default=None)
    truncation_mode: str = "keep_start"


def render(example: Example, tokenizer: Tokenizer, rules: Rules) -> Rendered:
    """The example as text with the spans to learn.

    Raises:
        RenderError: the template refuses it, or there is no template for a conversation.
    """
    if not example.messages:
        return _render_plain(example, tokenizer, rules)
    if tokenizer.template is None:
        raise RenderError("the tokenizer has no chat template; set model.chat_template to a .jinja file")
    whole_loss = not rules.assistant_only_loss and (rules.completion_only_loss is False or not example.answer_from)
    try:
        text, marked = tokenizer.render(example.messages, tools=example.tools)
        if whole_loss:
            return Rendered(text, ((0, len(text)),))
        if marked:
            return Rendered(text, tuple(marked[-1:] if example.answer_from else marked))
        return _find_turns(text, example, tokenizer)
    except RenderError:
        raise
    except Exception as error:  # a template is a program: besides TemplateError it raises TypeError, KeyError, …
        raise RenderError(f"{type(error).__name__}: {error}") from error


def _render_plain(example: Example, tokenizer: Tokenizer, rules: Rules) -> Rendered:
    eos = tokenizer.hf.eos_token or ""
    completion = example.completion if example.completion.endswith(eos) else example.completion + eos  # as TRL does
    text = example.prompt + completion
    learn_all = example.shape == "text" or rules.completion_only_loss is False
    return Rendered(text, ((0 if learn_all else len(example.prompt), len(text)),))


def _find_turns(text: str, example: Example, tokenizer: Tokenizer) -> Rendered:
    """Where each assistant turn stands, for a template without generation markers.

    A turn starts where the text rendered before it, with the generation prompt, ends; and is over where the text
    rendered up to it ends. Both are cut to what they share with the whole text, since templates may render a turn
    differently once others follow (reasoning that is dropped, for one).
    """
    spans: list[Span] = []
    prefix_ok = True
    for index, message in enumerate(example.messages):
        if message["role"] != "assistant" or index < example.answer_from:
            continue
        before = tokenizer.render(example.messages[:index], tools=example.tools, generation_prompt=True)[0]
        last = index == len(example.messages) - 1
        upto = text if last else tokenizer.render(example.messages[: index + 1], tools=example.tools)[0]
        start, stop = _shared(before, text), _shared(upto, text)
        prefix_ok &= start == len(before) and stop == len(upto)
        spans.append((start, _end_of_turn(text, start, stop, message, tokenizer)))
    return Rendered(text, tuple(spans), prefix_ok)


def _shared(a: str, b: str) -> int:
    if b.startswith(a):
        return len(a)
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _end_of_turn(text: str, start: int, stop: int, message: Message, tokenizer: Tokenizer) -> int:
    """Where a turn's learned part ends: after the first special token behind its content."""
    content = str(message.get("content") or "").strip()
    at = text.rfind(content, start, stop) if content else -1
    after = at + len(content) if at >= 0 else start
    matches = tokenizer.special.finditer(text, after, stop)
    if message.get("tool_calls"):  # calls are rendered behind the content, often between special tokens of their own
        ends = [match.end() for match in matches]
        return ends[-1] if ends else stop
    match = next(matches, None)
    return match.end() if match else after + len(text[after:stop].rstrip())


def encode(rendered: Sequence[Rendered], tokenizer: Tokenizer, rules: Rules, *, plain: bool) -> list[Labelled]:
    """Tokenise and label a batch.

    Args:
        rendered: The batch.
        tokenizer: The run's tokenizer.
        rules: What to learn and where to cut.
        plain: True for text without a template: the tokenizer then adds its own BOS and EOS, as TRL lets it.
    """
    encodings = tokenizer.backend.encode_batch([r.text for r in rendered], add_special_tokens=plain)
    stop_ids = np.fromiter(tokenizer.stop_ids, dtype=np.int64)
    labelled: list[Labelled] = []
    learned: list[list[int]] = []
    for item, encoding in zip(rendered, encodings, strict=True):
        ids: Ids = np.asarray(encoding.ids, dtype=np.int32)
        offsets = np.asarray(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        mask, ends = _mask(offsets, item.spans, ids, stop_ids)
        labels: Ids = np.where(mask, ids, IGNORE).astype(np.int32)
        cut = _cut(rules)
        learned.append(ids[mask].tolist())
        labelled.append(Labelled(ids[cut], labels[cut], len(ids), int(mask.sum()), True, ends))
    return _compare(labelled, learned, rendered, tokenizer)


def _mask(
    offsets: npt.NDArray[np.int64], spans: Sequence[Span], ids: Ids, stop_ids: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.bool_], bool]:
    """Which tokens lie wholly inside a span, and whether each span's last one stops a generation."""
    starts, stops = offsets[:, 0], offsets[:, 1]
    real = stops > starts  # tokens that the post-processor adds have no text
    mask = np.zeros(len(offsets), dtype=bool)
    ends = bool(spans)
    for start, stop in spans:
        inside = real & (starts >= start) & (stops <= stop)
        mask |= inside
        last = np.flatnonzero(inside)
        ends &= bool(len(last)) and bool(np.isin(ids[last[-1]], stop_ids))
    return mask, ends


def _cut(rules: Rules) -> slice:
    if rules.max_length is None:
        return slice(None)
    return slice(-rules.max_length, None) if rules.truncation_mode == "keep_end" else slice(None, rules.max_length)


def _compare(
    labelled: list[Labelled], learned: list[list[int]], rendered: Sequence[Rendered], tokenizer: Tokenizer
) -> list[Labelled]:
    """Decode what is learned and compare it with the text of the spans."""
    from dataclasses import replace

    decoded = tokenizer.backend.decode_batch(learned, skip_special_tokens=False)
    wanted = ["".join(item.text[start:stop] for start, stop in item.spans) for item in rendered]
    return [
        item if got.strip() == want.strip() else replace(item, matches=False)
        for item, got, want in zip(labelled, decoded, wanted, strict=True)
    ]

"""The tokenizer and the chat template, as the run will use them."""

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from preflight.config import Config
from preflight.model import files


@dataclass(frozen=True)
class Tokenizer:
    """The run's tokenizer.

    Attributes:
        hf: The transformers tokenizer.
        template: The chat template in force; None if there is none.
        stop_ids: Ids that end a generation.
    """

    hf: Any
    template: str | None
    stop_ids: frozenset[int]

    @cached_property
    def backend(self) -> Any:
        """The Rust tokenizer behind it, which encodes batches on all cores: the same ids as transformers.

        A tokenizer.json may hold the truncation and padding of some earlier run, which transformers switches off at
        each call; and may leave spaces out of a token's offsets, which labels need whole.
        """
        backend = self.hf.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        state = backend.post_processor.__getstate__() if backend.post_processor else b""
        if (whole := state.replace(b'"trim_offsets":true', b'"trim_offsets":false')) != state:
            backend = copy.deepcopy(backend)  # so that the tokenizer is saved beside the adapter as it was
            processor = backend.post_processor
            processor.__setstate__(whole)
            backend.post_processor = processor
        return backend

    @cached_property
    def special(self) -> re.Pattern[str]:
        """Matches any special token's text, longest first."""
        tokens = {str(token) for token in self.hf.all_special_tokens}
        tokens |= {str(token) for token in self.hf.added_tokens_decoder.values() if token.special}
        return re.compile("|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True)) or r"(?!)")

    @cached_property
    def byte_lengths(self) -> Any:
        """Bytes of text behind each id, as int32; None if the places of tokens can't be told from that."""
        from preflight.data.engine import byte_lengths

        return byte_lengths(self.backend)

    @cached_property
    def adds_tokens(self) -> bool:
        """Whether it puts tokens of its own, such as BOS, around a text without a template."""
        return bool(self.backend.num_special_tokens_to_add(False))

    @cached_property
    def compiled(self) -> Callable[[Sequence[dict[str, Any]]], str] | None:
        """The template as a function of messages that have a role and a text and nothing else; the same as `render`.

        None if transformers no longer shows its compiled template, or there is no template.
        """
        from transformers.utils import chat_template_utils

        compiler = getattr(chat_template_utils, "_compile_jinja_template", None)
        if compiler is None or self.template is None:
            return None
        known = {"tools": None, "documents": None, "add_generation_prompt": False, **self.hf.special_tokens_map}
        try:
            compiled = compiler(self.template)
        except Exception:
            return None  # `render` says what is wrong with it
        return lambda messages: str(compiled.render(messages=messages, **known))

    @property
    def marks_generation(self) -> bool:
        """Whether the template itself says which part is the assistant's."""
        return bool(self.template and re.search(r"\{%-?\s*generation\s*-?%\}", self.template))

    def render(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        tools: Sequence[Any] = (),
        options: Mapping[str, Any] = MappingProxyType({}),
        generation_prompt: bool = False,
    ) -> tuple[str, list[tuple[int, int]]]:
        """One conversation as text.

        Args:
            messages: The conversation.
            tools: Tool declarations.
            options: The template's own variables, such as `enable_thinking`.
            generation_prompt: Whether to open the assistant's next turn.

        Returns:
            The text, and the (start, end) characters of the template's generation blocks, empty if it marks none.

        Raises:
            jinja2.TemplateError: the template refuses the conversation.
        """
        from transformers.utils.chat_template_utils import render_jinja_template

        texts, marked = render_jinja_template(
            conversations=[list(messages)],
            tools=list(tools) or None,
            chat_template=self.template,
            return_assistant_tokens_mask=self.marks_generation,
            add_generation_prompt=generation_prompt,
            **{**self.hf.special_tokens_map, **options},
        )
        return texts[0], [(start, end) for start, end in marked[0]] if marked else []


def load_tokenizer(config: Config) -> Tokenizer:
    """The tokenizer that the config names, with its chat template and pad token settled as the trainer settles them.

    Raises:
        files.ModelFilesError: its files are missing, or transformers can't load them.
    """
    from transformers import AutoTokenizer

    folder = files.tokenizer_folder(config)
    try:
        hf = AutoTokenizer.from_pretrained(folder, trust_remote_code=config.model.trust_remote_code)
    except Exception as error:  # transformers raises anything here, from OSError to KeyError
        first = str(error).partition("\n")[0]
        raise files.ModelFilesError(f"no tokenizer can be loaded from {folder}: {first}") from error
    if not hf.is_fast:
        raise files.ModelFilesError(f"{folder}: only a slow tokenizer; save a tokenizer.json with it (fast tokenizer)")
    if (eos := config.training.get("eos_token")) is not None:
        hf.eos_token = eos
    # TRL's order: the config's pad token, the tokenizer's own, else EOS (SFTTrainer.__init__).
    hf.pad_token = config.training.get("pad_token") or hf.pad_token or hf.eos_token
    if (path := files.template_file(config)) is not None:
        hf.chat_template = path.read_text(encoding="utf-8")
    template = hf.chat_template
    if isinstance(template, dict):  # several named templates; transformers renders "default"
        template = template.get("default")
    # An EOS that the vocabulary lacks would get the id of the unknown token.
    end = hf.eos_token and hf.backend_tokenizer.token_to_id(hf.eos_token)
    return Tokenizer(hf, template, frozenset(files.stop_ids(config, end)))

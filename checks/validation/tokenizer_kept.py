from collections.abc import Iterator
from typing import Any

from preflight import Finding, check, not_available, report_findings
from preflight.config import Config
from preflight.evaluation.retold import TEXT, other_ids, other_talk
from preflight.fixtures import Evidence
from preflight.flight.foreign import foreign
from preflight.model.build import short
from preflight.model.tokenizer import Tokenizer

WHY = "What reads this folder feeds the model other tokens than it was trained on."
AGAIN = "Save the run's tokenizer again: tokenizer.save_pretrained(folder)."
UNTUNED = "A server renders prompts in another way than the model has learned: it acts as if it had not been tuned."


@check(
    "POST-122", "tokenizer-as-trained", severity="required", section=6, item="Tokenizer saved: as it was trained with"
)
def the_saved_tokenizer_is_the_one_of_the_run(config: Config, tokenizer: Tokenizer, evidence: Evidence) -> None:
    """The tokenizer and chat template beside the trained model are those that it was trained with.

    What it checks: The tokenizer in the output folder against that of the run: the ids of a text of many scripts and of
    every added token; what the chat template makes of conversations with and without a system message; and the ids of
    EOS, BOS and padding. Settings that change none of it, such as `padding_side` or `model_max_length`, don't matter,
    nor does a template that is only written otherwise.
    Why it matters: A server takes what lies beside the model: with another template it acts as if it had never been
    tuned, and with other ids it talks nonsense.
    How to fix: Save the run's tokenizer again, `tokenizer.save_pretrained(folder)`, with the template that it trained
    with; or name the template in `model.chat_template`, if the folder's is the one that was used.
    Evidence: hiyouga/LlamaFactory#7785 (another template saved than trained with), huggingface/peft#1457.
    """
    from transformers import AutoTokenizer

    folder = config.output_dir
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")):
        not_available(f"no tokenizer in {folder}; see POST-101")
    try:
        saved = AutoTokenizer.from_pretrained(folder, trust_remote_code=config.model.trust_remote_code)
    except Exception as error:  # transformers raises anything here, from OSError to KeyError
        report_findings(
            [Finding(f"the saved tokenizer does not load: {short(error)}", str(folder), why=WHY, fix=AGAIN)]
        )
        return
    added = {str(token) for one in (saved, tokenizer.hf) for token in one.added_tokens_decoder.values()}
    evidence(f"{len(saved):,} tokens, {len(added)} of them added", tokens=len(saved), trained=len(tokenizer.hf))
    report_findings([*_ids(config, tokenizer.hf, saved, sorted(added)), *_talk(config, tokenizer, saved)])


def _ids(config: Config, trained: Any, saved: Any, added: list[str]) -> Iterator[Finding]:
    """Texts and special tokens that have other ids."""
    if apart := other_ids(trained, saved, added):
        yield Finding(
            f"the saved tokenizer gives other ids to {'plain text' if apart.text == TEXT else repr(apart.text)}",
            where=str(config.output_dir / "tokenizer.json"),
            observed=apart.saved,
            expected=f"{apart.trained}; {apart.texts} of {len(added) + 1} texts differ",
            why=WHY,
            fix=AGAIN,
        )
    # What a run elsewhere padded with is not in a config that doesn't say so, and matters to nobody afterwards.
    pad = () if foreign(config) and "pad_token" not in config.training else ("pad",)
    for kind in ("eos", "bos", *pad):
        now, then = (getattr(one, f"{kind}_token_id") for one in (saved, trained))
        if now == then or (kind == "pad" and now is None):
            continue
        token = getattr(trained, f"{kind}_token")
        yield Finding(
            f"the saved tokenizer has another {kind.upper()} token than the run's",
            where=str(config.output_dir / "tokenizer_config.json"),
            observed=f"{getattr(saved, f'{kind}_token')!r}, id {now}",
            expected=f"{token!r}, id {then}",
            why="Generation stops elsewhere, or not at all." if kind == "eos" else WHY,
            fix=f'Write "{kind}_token": "{token}" into tokenizer_config.json.' if token else AGAIN,
        )


def _talk(config: Config, trained: Tokenizer, saved: Any) -> Iterator[Finding]:
    """The first conversation that the templates render differently."""
    if apart := other_talk(trained, saved):
        yield Finding(
            "the saved chat template is not the one that the run trained with",
            where=str(config.output_dir / "chat_template.jinja"),
            observed=apart.saved,
            expected=apart.trained,
            why=UNTUNED,
            fix="Write the template that the run trained with to chat_template.jinja in this folder, or name the "
            "folder's in model.chat_template, if it is that.",
        )

import json

from preflight import Finding, check, not_applicable, not_available, report_findings
from preflight.config import Config
from preflight.evaluation import adapter
from preflight.fixtures import Evidence
from preflight.model.build import short
from preflight.model.tokenizer import Tokenizer

PROBE = "Take the second drawer."


@check(
    "POST-127", "stops-as-saved", severity="required", section=6, item="Inference works: it stops where it learned to"
)
def the_end_of_turn_stops_the_saved_model(config: Config, tokenizer: Tokenizer, evidence: Evidence) -> None:
    """The token that ends an answer in the chat template is one at which the saved model stops.

    What it checks: The first special token that the template writes behind an answer must be the EOS of the tokenizer
    in the output folder, or among `eos_token_id` of generation_config.json there, else of the base model's.
    Why it matters: The model learned to end its turns with that token; a server that doesn't stop there goes on to
    write the user's next turn, until the limit.
    How to fix: Write the token into tokenizer_config.json, and its id into generation_config.json.
    Evidence: hiyouga/LLaMA-Factory#7454, unslothai/unsloth#416.
    """
    if tokenizer.template is None:
        not_applicable("the run has no chat template: nothing says where a turn ends")
    talk = [{"role": "user", "content": "Where are the spoons?"}, {"role": "assistant", "content": PROBE}]
    try:
        text, _ = tokenizer.render(talk)
    except Exception as error:  # a template raises what it likes
        not_available(f"the chat template can't render a question and its answer: {short(error)}")
    tail = tokenizer.hf(text.rpartition(PROBE)[2], add_special_tokens=False)["input_ids"]
    added = tokenizer.hf.added_tokens_decoder
    end = next((token for token in tail if token in added), None)
    if end is None or PROBE not in text:
        not_applicable("the chat template ends an answer with no token of its own; see TOK-102")
    folder, saved = config.output_dir, _eos(config, tokenizer)
    stops = adapter.stop_ids(config, saved)
    names = ", ".join(f"{tokenizer.hf.convert_ids_to_tokens(stop)} ({stop})" for stop in sorted(stops)) or "none"
    evidence(f"{added[end]} ({end}) ends a turn, stops at {names}", end=end, stops=sorted(stops))
    if end in stops:
        return
    kept = json.dumps(sorted({*stops, end}))
    report_findings(
        [
            Finding(
                f"the token that ends a turn, {added[end]}, does not stop the saved model",
                where=str(folder / "tokenizer_config.json"),
                observed=f"stops at {names}",
                expected=f"{added[end]} ({end}) among them",
                why="What serves it goes on behind the answer, and writes the user's next turn, until the limit.",
                fix=f'Write "eos_token": "{added[end]}" into {folder / "tokenizer_config.json"}, and '
                f'{{"eos_token_id": {kept}}} into {folder / "generation_config.json"}.',
            )
        ]
    )


def _eos(config: Config, tokenizer: Tokenizer) -> int | None:
    """The id of the EOS token that the saved tokenizer names; that of the run's where it names none."""
    path = config.output_dir / "tokenizer_config.json"
    try:
        token = json.loads(path.read_text(encoding="utf-8"))["eos_token"]
    except (OSError, ValueError, KeyError, TypeError):
        return tokenizer.hf.eos_token_id  # type: ignore[no-any-return]
    token = token.get("content") if isinstance(token, dict) else token  # as older versions wrote it
    return tokenizer.backend.token_to_id(token) if isinstance(token, str) else None

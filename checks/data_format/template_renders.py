from preflight import Finding, check, report_findings
from preflight.data.store import Prepared
from preflight.fixtures import Evidence
from preflight.model.tokenizer import Tokenizer


@check(
    "TOK-100",
    "template-renders",
    severity="required",
    section=1,
    item="Consistent template applied to all examples",
    waivable=False,
)
def the_chat_template_renders_every_example(prepared: Prepared, tokenizer: Tokenizer, evidence: Evidence) -> None:
    """The tokenizer's chat template renders every example.

    What it checks: Each conversation is rendered with the run's own template, not just the first one.
    Why it matters: Some templates refuse a system message, roles that don't alternate, or tool calls; the trainer then
    stops at that row, after the model was loaded.
    How to fix: Give the model a chat template that takes these roles (`model.chat_template`), or change the rows: fold
    a refused system message into the first user message.
    Evidence: hiyouga/LlamaFactory#8217 and lm-evaluation-harness#2069 (system role refused), unslothai/unsloth#334
    (alternation).
    """
    size = "no template" if tokenizer.template is None else f"template of {len(tokenizer.template)} characters"
    evidence(f"{size}, {prepared.train.rows} rows rendered", rows=prepared.train.rows)
    report_findings(
        Finding(
            f"the chat template refuses this row: {problem['problem']}",
            where=problem["where"],
            why="The trainer would stop here.",
            fix="Set model.chat_template to a template that takes these roles, or change the row.",
        )
        for split in prepared.splits.values()
        for problem in split.of_kind("template")
    )

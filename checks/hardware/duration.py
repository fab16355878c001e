from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.cost import hours
from preflight.data.store import Split
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.model.modules import ModuleTree
from preflight.rehearsal import Rehearsal
from preflight.rehearsal.cost import in_words, run_seconds, run_tokens
from preflight.schedule import schedule_of
from preflight.strategy import Strategy
from preflight.target import Target

ITEM = "VRAM available: sufficient for chosen method"


@check("HW-122", "duration", severity="recommended", section=2, item=ITEM)
def the_run_is_as_long_as_it_may_be(  # noqa: PLR0917 - everything decides it
    config: Config,
    train: Split,
    module_tree: ModuleTree,
    target: Target,
    strategy: Strategy,
    evidence: Evidence,
) -> None:
    """The run ends within `gate.max_hours`, if that is set; how long it takes is shown in any case.

    What it checks: Operations a token (four times the parameters for an adapter, two more for full fine-tuning, two
    more with gradient checkpointing) times tokens, padding included, over 20 to 70 % of the card's TFLOP/s; DoRA takes
    1.2 to 2 times as long. The least is held against `gate.max_hours`. Evaluations and saves are not counted. A
    rehearsal measures what this can only bound (HW-123).
    Why it matters: A run that outlasts its slot in the queue is killed, and what was spent on it is lost.
    How to fix: Train for fewer epochs, pack rows, use more cards, or raise `gate.max_hours`.
    Evidence: published speeds came to 28-50 % of the datasheet on an A100, 56 % on an RTX 4090, 66 % on an RTX 3090 and
    22-40 % on an RTX 4080. DoRA: huggingface/peft#1474.
    """
    schedule = schedule_of(config, len(train.dataset))
    tokens = int(run_tokens(config, train))
    steps = f"{counted(schedule.steps, 'step')}, {tokens:,} tokens"
    speed = min((gpu.tflops or 0 for gpu in target.gpus), default=0)
    if not speed:
        evidence(steps, steps=schedule.steps, tokens=tokens)
        if config.gate.max_hours is not None:
            device = target.gpus[0].name if target.gpus else "this processor"
            not_applicable(f"{steps}; how fast {device} is isn't known without a rehearsal (HW-123)")
        return
    least, most = hours(config, module_tree.parameters, tokens, speed, strategy.world)
    span = f"{in_words(3600 * least)} to {in_words(3600 * most)}"
    evidence(f"{steps}: {span}", steps=schedule.steps, tokens=tokens, hours=[least, most])
    judge(config, least, span, schedule.steps)


@check("HW-123", "measured-duration", severity="recommended", section=2, item=ITEM)
def the_run_as_measured_is_as_long_as_it_may_be(
    config: Config, train: Split, rehearsal: Rehearsal, evidence: Evidence
) -> None:
    """By the steps that a rehearsal measured, the run ends within `gate.max_hours`.

    What it checks: Seconds a token of the fastest rehearsed steps, on rows of median length and on the longest ones,
    times the tokens of the run, padding included. The least is held against `gate.max_hours`.
    Why it matters: A run that outlasts its slot in the queue is killed, and what was spent on it is lost.
    How to fix: Train for fewer epochs, pack rows, or raise `gate.max_hours`.
    Evidence: a step's speed on one kind of card varies twofold between published runs; only the run's own steps tell.
    """
    if config.gate.max_hours is None:
        not_applicable("gate.max_hours isn't set; RUN-206 shows what was measured")
    if not config.hardware.is_local:
        not_applicable("measured on this machine, which is not the one that will train")
    steps = schedule_of(config, len(train.dataset)).steps
    least, most = rehearsal.reached(run_seconds(rehearsal, run_tokens(config, train)))
    span = f"{in_words(least)} to {in_words(most)}"
    evidence(f"{counted(steps, 'step')}: {span}", steps=steps, seconds=[least, most])
    judge(config, least / 3600, span, steps)


def judge(config: Config, least: float, span: str, steps: int) -> None:
    """Hold the least hours that a run takes against what it may take."""
    allowed = config.gate.max_hours
    if allowed is None or least <= allowed:
        return
    affordable = int(steps * allowed / least)
    fewer = f"Set training.max_steps: {affordable}, use" if affordable else "Use"
    report_findings(
        [
            Finding(
                f"the run takes {in_words(3600 * least)} or more",
                where=config.where("gate.max_hours"),
                observed=span,
                expected=f"at most {in_words(3600 * allowed)}",
                why="What outlasts its slot is killed, and what was spent on it is lost.",
                fix=f"{fewer} more cards, or raise gate.max_hours.",
            )
        ]
    )

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.cost import hours
from preflight.data.store import Split
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.model.modules import ModuleTree
from preflight.schedule import schedule_of
from preflight.strategy import Strategy
from preflight.target import Target


@check("HW-122", "duration", severity="recommended", section=2, item="VRAM available: sufficient for chosen method")
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
    more with gradient checkpointing) times tokens, over 20 to 60 % of the card's TFLOP/s; DoRA times 1.2 to 2. A
    rehearsal measures what this can only bound.
    Why it matters: A run that outlasts its slot in the queue is killed, and what was spent on it is lost.
    How to fix: Train for fewer epochs, pack rows, use more cards, or raise `gate.max_hours`.
    Evidence: published speeds came to 28-50 % of the datasheet on an A100, 56-84 % on an RTX 4090, 22-40 % on an RTX
    4080. DoRA: huggingface/peft#1474.
    """
    schedule = schedule_of(config, len(train.dataset))
    rows = int(config.training_value("per_device_train_batch_size")) * strategy.world
    rows *= int(config.training_value("gradient_accumulation_steps"))
    mean = float(train.profile["kept"].mean()) * len(train.examples) / max(len(train.dataset), 1)
    tokens = int(schedule.steps * min(rows, len(train.dataset)) * mean)
    steps = f"{counted(schedule.steps, 'step')}, {tokens:,} tokens"
    speed = min((gpu.tflops for gpu in target.gpus if gpu.tflops), default=None)
    if speed is None:
        evidence(steps, steps=schedule.steps, tokens=tokens)
        if config.gate.max_hours is None or not target.gpus:
            return
        not_applicable(f"{steps}; how fast {target.gpus[0].name} is isn't known here")
    least, most = hours(config, module_tree.parameters, tokens, speed, max(strategy.world, 1))
    evidence(f"{steps}: {spell(least)} to {spell(most)}", steps=schedule.steps, tokens=tokens, hours=[least, most])
    allowed = config.gate.max_hours
    affordable = max(int(schedule.steps * (allowed or 0) / least), 1)
    if allowed is None or least <= allowed:
        return
    report_findings(
        [
            Finding(
                f"the run takes {spell(least)} or more",
                where=config.where("gate.max_hours"),
                observed=f"{spell(least)} to {spell(most)}",
                expected=f"at most {spell(allowed)}",
                why="What outlasts its slot is killed, and what was spent on it is lost.",
                fix=f"Set training.max_steps: {affordable}, use more cards, or raise gate.max_hours.",
            )
        ]
    )


def spell(hours: float) -> str:
    """A time with the unit that suits it."""
    seconds = hours * 3600
    return f"{hours:.1f} h" if hours >= 1 else f"{seconds / 60:.0f} min" if seconds >= 100 else f"{seconds:.0f} s"

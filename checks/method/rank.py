from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence

# By task complexity: the range outside which a rank blocks, and the checklist's own numbers.
REASON = {"simple": (4, 32), "standard": (8, 64), "complex": (16, 256)}
TABLE = {"simple": (8, 8), "standard": (16, 32), "complex": (64, 128)}


@check(
    "CFG-103",
    "rank-fits-task",
    severity="required",
    section=3,
    item="Must-have: appropriate rank for task complexity",
)
def the_rank_fits_the_tasks_complexity(config: Config, evidence: Evidence) -> None:
    """`lora.r` is in the range that makes sense for the task's complexity.

    What it checks: `lora.r` against 4-32 for simple, 8-64 for standard and 16-256 for complex tasks.
    Why it matters: Too low a rank can't hold the task and underfits; far too high a one overfits small data, and costs
    memory and time.
    How to fix: Set `lora.r` to the number in the finding, and `lora.lora_alpha` to one or two times it.
    Evidence: the checklist's table (8, 16-32, 64-128), widened by a factor of two to four so that it only blocks what
    is out of reason. Published recipes set 8 to 32 nearly always.
    """
    rank, (low, high) = _rank(config), REASON[config.task.complexity]
    evidence(f"r {rank}, {config.task.complexity} takes {low} to {high}", r=rank, low=low, high=high)
    report_findings(_outside(config, rank, low, high, TABLE[config.task.complexity], blocks=True))


@check(
    "CFG-104",
    "rank-as-recommended",
    severity="recommended",
    section=3,
    item="Hyperparameter defaults: rank (r)",
)
def the_rank_is_the_checklists_own(config: Config, evidence: Evidence) -> None:
    """`lora.r` is what the checklist recommends for the task's complexity.

    What it checks: `lora.r` against 8 for simple, 16-32 for standard and 64-128 for complex tasks.
    Why it matters: These ranks have worked for most people; another one should be a choice, not an accident.
    How to fix: Set `lora.r` to the number in the finding, or waive this with the reason for yours.
    Evidence: the checklist's table of hyperparameter defaults.
    """
    rank, (low, high) = _rank(config), TABLE[config.task.complexity]
    wanted = f"{low}" if low == high else f"{low} to {high}"
    evidence(f"r {rank}, recommended {wanted}", r=rank, low=low, high=high)
    report_findings(_outside(config, rank, low, high, (low, high), blocks=False))


def _rank(config: Config) -> int:
    if config.lora is None:
        not_applicable("full fine-tuning: there is no rank")
    return int(config.lora_value("r"))


def _outside(config: Config, rank: int, low: int, high: int, table: tuple[int, int], *, blocks: bool) -> list[Finding]:
    if low <= rank <= high:
        return []
    nearest = table[0] if rank < low else table[1]
    kind = "out of reason" if blocks else "not the recommended one"
    return [
        Finding(
            f"rank {rank} is {kind} for a {config.task.complexity} task",
            where=config.where("lora.r"),
            observed=str(rank),
            expected=f"{low}" if low == high else f"{low} to {high}",
            why="Too few dimensions underfit." if rank < low else "More dimensions than the task needs overfit.",
            fix=f"Set lora.r: {nearest} and lora.lora_alpha: {2 * nearest}.",
        )
    ]

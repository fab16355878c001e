from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.strategy import Strategy, spreads
from preflight.target import Target


@check("HW-131", "device-map", severity="required", section=2, item='Device map: set to "auto" for multi-GPU')
def no_device_map_is_set_where_processes_share_the_work(
    config: Config, target: Target, strategy: Strategy, evidence: Evidence
) -> None:
    """Nothing spreads or pins the model where each process trains its own copy or shard.

    What it checks: `model.device_map` against the number of processes and DeepSpeed's ZeRO-3. A map that spreads layers
    over the cards, or pins all of them to one card, can't be used by several processes.
    Why it matters: accelerate stops such a run ("You can't train a model that has been loaded with device_map='auto' in
    any distributed mode"), after every process has loaded the model.
    How to fix: Remove `model.device_map`; each process then takes its own card.
    Evidence: huggingface/peft#414, huggingface/accelerate#2713 (DDP), huggingface/transformers#26412 (ZeRO-3). The
    checklist's line is older than these, and about one process with several cards; see HW-132.
    """
    given = config.model.device_map
    if given is None:
        not_applicable("model.device_map isn't set")
    processes = "one process" if strategy.world == 1 else f"{strategy.world} processes"
    pinned = given not in ("auto", "cpu", "cuda") and not spreads(given)
    evidence(f"{given}, {processes}", device_map=str(given), world=strategy.world)
    together = strategy.world > 1 or strategy.kind in ("zero3", "fsdp")
    if not together or not (spreads(given) or pinned):
        return
    report_findings(
        [
            Finding(
                f"model.device_map: {given} can't be used by {processes}"
                if strategy.world > 1
                else f"model.device_map: {given} can't be used with {strategy.kind}",
                where=config.where("model.device_map"),
                observed=str(given),
                expected="no device map",
                why="The run stops once every process has loaded the model.",
                fix="Remove model.device_map: each process takes its own card.",
            )
        ]
    )


@check("HW-132", "cards-at-work", severity="recommended", section=2, item='Device map: set to "auto" for multi-GPU')
def all_cards_work_at_the_same_time(config: Config, target: Target, strategy: Strategy, evidence: Evidence) -> None:
    """With several cards, all of them work at the same time.

    What it checks: Whether one process spreads the layers over the cards (`model.device_map: auto`), or copies the
    model to all of them at each step (`nn.DataParallel`, what transformers does with several cards and no launcher).
    Why it matters: Of layers that are spread, one card works while the others wait: four cards are no faster than one.
    DataParallel multiplies the batch by the number of cards, and spends much of its time on copying.
    How to fix: Start one process a card, `torchrun --nproc_per_node N -m preflight.trainer CONFIG`, or show the run one
    card with `CUDA_VISIBLE_DEVICES=0`.
    Evidence: huggingface/accelerate#1515. torch's documentation recommends DistributedDataParallel over DataParallel.
    """
    cards = len(target.gpus)
    if cards < 2:
        not_applicable(f"there is {counted(cards, 'card')}")
    evidence(f"{strategy.kind}, {cards} cards", kind=strategy.kind, cards=cards, world=strategy.world)
    launch = f"Run torchrun --nproc_per_node {cards} -m preflight.trainer {config.path.name}"
    if strategy.kind == "naive":
        report_findings(
            [
                Finding(
                    f"the layers are spread over {cards} cards, and one works at a time",
                    where=config.where("model.device_map"),
                    observed=f"about {100 // cards} % of each card is used",
                    expected="all cards at work",
                    why=f"{cards} cards take as long as one would.",
                    fix=f"Remove model.device_map. {launch}, with training.fsdp if one card can't hold the model.",
                )
            ]
        )
    if strategy.kind == "dp":
        report_findings(
            [
                Finding(
                    f"one process copies the model to {cards} cards at each step",
                    where=config.where("hardware"),
                    observed="nn.DataParallel",
                    expected="one process a card, or one card",
                    why=f"The batch becomes {cards} times as large, and much of the time is spent on copying.",
                    fix=f"{launch}, or set CUDA_VISIBLE_DEVICES=0.",
                )
            ]
        )

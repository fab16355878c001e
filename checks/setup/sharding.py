from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.model.precision import Precision
from preflight.strategy import Strategy, deepspeed_config, fsdp_config
from preflight.target import Target

ITEM = 'Device map: set to "auto" for multi-GPU'


@check("CFG-167", "sharded-quantization", severity="required", section=4, item=ITEM)
def quantized_weights_can_be_sharded(
    config: Config, precision: Precision, strategy: Strategy, evidence: Evidence
) -> None:
    """Under FSDP or ZeRO-3, quantized weights are stored in the type of the others.

    What it checks: `quantization.bnb_4bit_quant_storage` against the type of the weights. Its default, uint8, can't be
    sharded; nor can 8-bit weights.
    Why it matters: FSDP refuses integers once every process has loaded the model ("Must flatten tensors with uniform
    dtype"); ZeRO-3 keeps all of them on every card, so that nothing is saved.
    How to fix: Set `quantization.bnb_4bit_quant_storage` to the type in the finding.
    Evidence: huggingface/peft#1432, bitsandbytes-foundation/bitsandbytes#1709 (FSDP), huggingface/peft#2016 (ZeRO-3).
    """
    if strategy.kind not in ("fsdp", "zero3") or config.quantization is None:
        not_applicable("nothing quantized is sharded")
    eight = bool(config.quantization_value("load_in_8bit"))
    stored = str(config.quantization_value("bnb_4bit_quant_storage") or "uint8").removeprefix("torch.")
    evidence("8 bits" if eight else f"stored in {stored}, weights in {precision.weights}", storage=stored)
    if not eight and stored == precision.weights:
        return
    report_findings(
        [
            Finding(
                f"{'8-bit weights' if eight else f'4-bit weights stored in {stored}'} can't be sharded",
                where=config.where("quantization.load_in_8bit" if eight else "quantization.bnb_4bit_quant_storage"),
                observed="load_in_8bit" if eight else stored,
                expected=precision.weights,
                why="The run stops once every process has loaded the model, or every card holds all of it.",
                fix=("Set load_in_4bit in the place of load_in_8bit, and " if eight else "Set ")
                + f"quantization.bnb_4bit_quant_storage: {precision.weights}.",
            )
        ]
    )


@check("CFG-168", "sharded-saving", severity="recommended", section=4, item="Save strategy: every epoch or N steps")
def a_sharded_run_saves_a_whole_adapter(config: Config, strategy: Strategy, evidence: Evidence) -> None:
    """A sharded run gathers what it saves.

    What it checks: `state_dict_type` of `training.fsdp_config`, and `stage3_gather_16bit_weights_on_model_save` of
    DeepSpeed's ZeRO-3.
    Why it matters: Saved in shards, the adapter can't be loaded after training; ungathered tensors are saved with size
    0. It shows when the run is over.
    How to fix: Set `state_dict_type: FULL_STATE_DICT`, or `stage3_gather_16bit_weights_on_model_save: true`.
    Evidence: huggingface/accelerate#3732, axolotl-ai-cloud/axolotl#3772 (FSDP), huggingface/peft#2450 (ZeRO-3).
    """
    if strategy.kind not in ("fsdp", "zero3"):
        not_applicable("nothing is sharded")
    if strategy.kind == "fsdp":
        key, name = "training.fsdp_config", "state_dict_type"
        given = fsdp_config(config).get(name)
        good, wanted = given is None or "FULL" in str(given), "FULL_STATE_DICT"
    else:
        key, name = "training.deepspeed", "stage3_gather_16bit_weights_on_model_save"
        stage = deepspeed_config(config).get("zero_optimization", {})
        given = stage.get(name, False)
        good, wanted = given in (True, "auto"), "true"
    evidence(f"{name}: {given}", **{name: given})
    if good:
        return
    report_findings(
        [
            Finding(
                f"{name} is {given}",
                where=config.where(key),
                observed=str(given),
                expected=wanted,
                why="What is saved after the run can't be loaded.",
                fix=f"Set {name}: {wanted} in {key}.",
            )
        ]
    )


@check("CFG-169", "sharding-on-cards", severity="recommended", section=4, item=ITEM)
def sharding_is_asked_for_where_it_works(
    config: Config, target: Target, strategy: Strategy, evidence: Evidence
) -> None:
    """FSDP is asked for on cards, and with more than one process.

    What it checks: `training.fsdp` against the machine.
    Why it matters: accelerate shards on cards only. On a CPU the run goes on under DDP without a word: each process
    holds all of the model.
    How to fix: Remove `training.fsdp`, or describe the cards in `hardware`.
    Evidence: tried with accelerate 1.x: two processes on a CPU, and the model was wrapped by DistributedDataParallel.
    """
    if not config.training_value("fsdp"):
        not_applicable("training.fsdp is off")
    evidence(f"{len(target.gpus)} cards, world of {strategy.world}", cards=len(target.gpus), world=strategy.world)
    if target.gpus:
        return
    report_findings(
        [
            Finding(
                "FSDP is asked for on a machine without cards",
                where=config.where("training.fsdp"),
                observed="no card",
                expected="a card for each process",
                why="Nothing is sharded: each process holds all of the model, under DDP.",
                fix="Remove training.fsdp, or describe the cards in hardware.",
            )
        ]
    )

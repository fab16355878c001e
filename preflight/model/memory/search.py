"""What fits instead: the largest batch, the longest rows, and the cheapest change that makes a run fit."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from .job import Job
from .predict import Prediction

LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
MOST_ROWS, MOST_TOKENS = 256, 1_048_576
STEP = 64  # tokens
QLORA = "load_in_4bit: true, bnb_4bit_quant_type: nf4, bnb_4bit_use_double_quant: true"


class Change(NamedTuple):
    """A change of the config that makes it fit.

    Attributes:
        settings: What to set, as `section.key: value`, all of it.
        cost: What it costs.
        prediction: What the changed run needs.
    """

    settings: tuple[str, ...]
    cost: str
    prediction: Prediction


def with_layers(job: Job, layers: int) -> Job | None:
    """The job on a model of so many layers; None if the config doesn't say how many there are."""
    model = dict(job.model)
    inner = dict(model["text_config"]) if isinstance(model.get("text_config"), dict) else model
    key = next((key for key in LAYERS if isinstance(inner.get(key), int)), None)
    if key is None or inner[key] < layers or (job.adapter or {}).get("layers_to_transform"):
        return None
    inner[key] = layers
    if isinstance(inner.get("layer_types"), list):
        inner["layer_types"] = inner["layer_types"][:layers]
    return job.replace(model=inner if inner is model else {**model, "text_config": inner})


def layers_of(job: Job) -> int | None:
    """Layers of the model; None if its config doesn't say."""
    inner = job.model["text_config"] if isinstance(job.model.get("text_config"), dict) else job.model
    return next((inner[key] for key in LAYERS if isinstance(inner.get(key), int)), None)


def largest(fits: Callable[[int], bool], low: int, high: int) -> int:
    """The largest number from `low` to `high` that fits; `low - 1` if none does. What fits, fits when smaller too."""
    while low <= high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if fits(middle) else (low, middle - 1)
    return high


def sized(job: Job, rows: int, length: int) -> Job:
    """The job on a batch of another shape, as much of it learned as before."""
    learned = None if job.supervised is None else max(job.supervised * rows * length // (job.batch * job.length), 1)
    return job.replace(batch=rows, length=length, supervised=learned)


def cheapest_change(job: Job, fits: Callable[[Job], Prediction | None], *, flash: bool = True) -> Change | None:
    """The first of the usual changes, cheapest first, that makes the job fit; None if none does.

    Args:
        job: The job that doesn't fit.
        fits: What a job needs, if it fits.
        flash: Whether sdpa keeps no scores on this card.
    """
    for settings, cost, changed in changes(job, flash=flash):
        found = fits(changed)
        if found is not None:
            return Change(settings, cost, found)
    return None


def changes(job: Job, *, flash: bool) -> Iterator[tuple[tuple[str, ...], str, Job]]:
    """The usual changes and their price, from what costs nothing to what changes the method."""
    settings: tuple[str, ...] = ()
    if job.attention == "eager" and flash:
        job, settings = job.replace(attention="sdpa", sdpa="flash"), ("model.attn_implementation: sdpa",)
        yield settings, "the same result, faster", job
    if job.batch > 1:
        rows = job.batch
        while rows > 1:
            rows = (rows + 1) // 2
            smaller = sized(job, rows, job.length)
            more = -(-job.batch // rows)
            changed = (
                *settings,
                f"training.per_device_train_batch_size: {rows}",
                f"training.gradient_accumulation_steps: {more} times what it is",
            )
            yield changed, "the same result, somewhat slower", smaller
        job, settings = smaller, changed
    if job.checkpointing == "none":
        job = job.replace(checkpointing="non-reentrant")
        settings = (*settings, "training.gradient_checkpointing: true")
        yield settings, "a fifth to a third more time a step", job
    if job.adapter is not None and job.adapter.get("use_dora"):
        plain = job.replace(adapter={**job.adapter, "use_dora": False})
        yield (*settings, "lora.use_dora: false"), "LoRA in the place of DoRA", plain
    if "8bit" not in job.optimizer and (job.adapter is None or job.adapter.get("modules_to_save")):
        job, settings = job.replace(optimizer="paged_adamw_8bit"), (*settings, "training.optim: paged_adamw_8bit")
        yield settings, "optimizer states in 8 bits", job
    if job.adapter is not None and job.bits == 16:
        half = job.weights if job.weights != "float32" else "bfloat16"
        job = job.replace(bits=4, double_quant=True, cast="bfloat16", compute=half, weights=half)
        settings = (*settings, f"quantization: {{{QLORA}, bnb_4bit_compute_dtype: {half}}}")
        yield settings, "QLoRA: about a third slower, and a little less exact", job
    for share in (0.75, 0.5, 0.25):
        length = max(int(job.length * share) // STEP * STEP, STEP)
        yield (*settings, f"training.max_length: {length}"), "longer rows are cut", sized(job, job.batch, length)


def room(job: Job, needs: Callable[[Job], int], capacity: int, rows: int) -> tuple[int, int]:
    """The largest micro batch of rows of this length, and the longest rows of this micro batch, that fit.

    Most of the search is on the model with a few of its layers, from which the whole is extrapolated: every peak grows
    by the same for each layer. What is found is then traced whole, and reduced until it fits.

    Args:
        job: A job that fits, or nearly.
        needs: Bytes that a job needs on the device, context and all.
        capacity: Bytes that are there.
        rows: Rows of the data: there is no larger batch.

    Returns:
        0 where nothing fits.
    """
    guess = extrapolated(job, needs)
    most_rows = min(MOST_ROWS, max(rows, job.batch))
    batch = largest(lambda count: guess(sized(job, count, job.length)) <= capacity, 1, most_rows)
    while batch and needs(sized(job, batch, job.length)) > capacity:
        batch -= 1
    limit = job.model.get("max_position_embeddings") or MOST_TOKENS
    steps = largest(lambda count: guess(sized(job, job.batch, count * STEP)) <= capacity, 1, limit // STEP)
    while steps and needs(sized(job, job.batch, steps * STEP)) > capacity:
        steps = steps * 31 // 32
    return batch, steps * STEP


def extrapolated(job: Job, needs: Callable[[Job], int]) -> Callable[[Job], int]:
    """`needs` for other sizes of the same job, from two models of a few layers."""
    layers = layers_of(job) or 0
    few = next((few for few in ((2, 4), (4, 8)) if layers > 2 * few[1]), None)
    if few is None or with_layers(job, few[1]) is None:
        return needs

    def guess(other: Job) -> int:
        low, high = (needs(small) for count in few if (small := with_layers(other, count)))
        return low + (high - low) * (layers - few[0]) // (few[1] - few[0])

    return guess

"""What fits instead: the largest batch, the longest rows, and the cheapest change that makes a run fit."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from .job import Job
from .predict import Prediction

LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
MOST_ROWS, MOST_TOKENS = 256, 1_048_576
STEP = 64  # tokens
FEW = (2, 4)  # layers
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


def largest(need: Callable[[int], int], capacity: int, high: int) -> int:
    """The largest number from 1 to `high` whose need is no more than the capacity; 0 if there is none.

    The need grows with the number, by nearly the same each time, so the next guess is read off a straight line.
    """
    low, least = 1, need(1)
    if least > capacity:
        return 0
    most = need(high)
    if most <= capacity:
        return high
    while high - low > max(low // 32, 1):
        share = (capacity - least) / (most - least)
        middle = min(max(low + int(share * (high - low)), low + 1), high - 1)
        value = need(middle)
        if value <= capacity:
            low, least = middle, value
            # The line bends upwards, so a guess lies low; look a little above it, so that the bracket closes.
            above = min(low + max(low // 32, 1), high - 1)
            if above > low and (value := need(above)) > capacity:
                high, most = above, value
        else:
            high, most = middle, value
    return low


def sized(job: Job, rows: int, length: int) -> Job:
    """The job on a batch of another shape, as much of it learned as before."""
    learned = None if job.supervised is None else max(job.supervised * rows * length // (job.batch * job.length), 1)
    return job.replace(batch=rows, length=length, supervised=learned)


def cheapest_change(job: Job, fits: Callable[[Job], Prediction | None], accumulation: int) -> Change | None:
    """The first of the usual changes, cheapest first, that makes the job fit; None if none does.

    Args:
        job: The job that doesn't fit.
        fits: What a job needs, if it fits.
        accumulation: `training.gradient_accumulation_steps`, to go on with as many rows an optimizer step.
    """
    for settings, cost, changed in changes(job, accumulation):
        found = fits(changed)
        if found is not None:
            return Change(settings, cost, found)
    return None


def changes(job: Job, accumulation: int) -> Iterator[tuple[tuple[str, ...], str, Job]]:
    """The usual changes and their price, from what costs nothing to what changes the method."""
    settings: tuple[str, ...] = ()
    if job.attention == "eager" and job.sdpa == "flash":
        job, settings = job.replace(attention="sdpa"), ("model.attn_implementation: sdpa",)
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
                f"training.gradient_accumulation_steps: {more * accumulation}",
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


def room(
    base: Prediction, again: Callable[[Job], Prediction], rows: int, slack: float, capacity: int
) -> tuple[int, int]:
    """The largest micro batch of rows of this length, and the longest rows of this micro batch, that fit.

    The search is on the model with a few of its layers, from which the whole is extrapolated, within 1 %. The batch
    that is found is traced whole, and reduced until it fits.

    Args:
        base: What the run needs as it is.
        again: Predicts another job.
        rows: Rows of the data: there is no larger batch.
        slack: Of the allocator.
        capacity: Bytes that are there.

    Returns:
        0 where nothing fits.
    """
    job, guess = base.job, extrapolated(base, again, slack)
    most_rows = min(MOST_ROWS, max(rows, job.batch))
    batch = largest(lambda count: guess(sized(job, count, job.length)), capacity, most_rows)
    while batch > job.batch and again(sized(job, batch, job.length)).likely(slack) > capacity:
        batch = max(batch * 15 // 16, job.batch)
    limit = min(job.model.get("max_position_embeddings") or MOST_TOKENS, MOST_TOKENS)
    steps = largest(lambda count: guess(sized(job, job.batch, count * STEP)), capacity, max(limit // STEP, 1))
    return batch, max(steps * STEP, job.length)


def extrapolated(base: Prediction, again: Callable[[Job], Prediction], slack: float) -> Callable[[Job], int]:
    """What other sizes of the same job will need, from two models of a few layers.

    In each phase of a step, each layer adds the same to the peak. Not so for full fine-tuning, where gradients come
    while activations go: that is traced whole.
    """
    layers = layers_of(base.job) or 0
    few = FEW[0], FEW[1]
    if base.job.adapter is None or layers <= 2 * few[1] or with_layers(base.job, few[1]) is None:
        return lambda job: again(job).likely(slack)
    waste = max(base.reserved / base.allocated, slack)

    def guess(job: Job) -> int:
        low, high = (again(small).phases for count in few if (small := with_layers(job, count)))
        peaks = (low[phase] + (high[phase] - low[phase]) * (layers - few[0]) // (few[1] - few[0]) for phase in low)
        return int(max(peaks) * waste) + base.context

    return guess

"""From a trace to a verdict: capacity, context, strategies, cache and fallback."""

from dataclasses import replace

import pytest

from preflight.model.memory import Prediction, cache, predict, predict_here, sharing
from preflight.model.memory.trace import Trace
from preflight.strategy import Strategy
from preflight.target import GIB, Gpu, Target

ONE = Strategy("single", 1)
SIZES = (200_000, 2_000)


def card(gib: float, free: float | None = None, capability: tuple[int, int] | None = (8, 6)) -> Target:
    gpu = Gpu("Card", int(gib * GIB), None if free is None else int(free * GIB), capability)
    return Target(local=free is not None, gpus=(gpu,))


@pytest.mark.parametrize(
    ("gib", "verdict"), [(24, "fits"), (11.7, "fits"), (11.5, "tight"), (10.7, "tight"), (10.5, "does not fit")]
)
def test_the_verdict_has_three_states(job, gib, verdict):
    """10 GiB of tensors and 0.55 of context: 11.55 with a tenth of slack."""
    found = Prediction(job, card(gib), ONE, SIZES, 10 * GIB, int(10.2 * GIB), {})

    assert found.verdict() == verdict


def test_what_the_allocator_was_seen_to_hold_counts_if_it_is_more(job):
    found = Prediction(job, card(12), ONE, SIZES, 10 * GIB, int(11.8 * GIB), {})

    assert found.verdict() == "tight"
    assert found.verdict(slack=1.3) == "tight"


def test_free_memory_counts_and_not_the_cards_whole(job):
    found = Prediction(job, card(24, free=8), ONE, SIZES, 10 * GIB, 10 * GIB, {})

    assert found.capacity == 8 * GIB
    assert found.verdict() == "does not fit"


def test_the_smallest_card_decides(job):
    gpus = (Gpu("Large", 80 * GIB), Gpu("Small", 8 * GIB))
    found = Prediction(job, Target(local=False, gpus=gpus), ONE, SIZES, 10 * GIB, 10 * GIB, {})

    assert found.device == "Small"
    assert found.verdict() == "does not fit"


def test_parts_add_up_to_what_is_allocated(job):
    found = predict(job, card(24), ONE, SIZES)

    assert sum(found.parts.values()) == found.allocated
    assert found.problem is None


def test_hopper_takes_a_larger_workspace(job):
    hopper, ampere = (predict(job, card(80, capability=which), ONE, SIZES) for which in ((9, 0), (8, 0)))

    assert hopper.allocated - ampere.allocated == pytest.approx(48 * 2**20, abs=2**20)


PARTS = {"weights": 800, "adapters": 80, "gradients": 80, "optimizer": 160, "activations": 1000}


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (Strategy("single", 1), PARTS),
        (Strategy("ddp", 4), {**PARTS, "buckets": 40}),
        (Strategy("zero1", 4), {**PARTS, "optimizer": 40, "buckets": 40}),
        (Strategy("zero2", 4), {**PARTS, "optimizer": 40, "gradients": 20, "buckets": 40}),
        (
            Strategy("zero3", 4),
            {"weights": 200, "adapters": 20, "gradients": 20, "optimizer": 40, "activations": 1000,
             "gathered layers": 200},
        ),
        (
            Strategy("fsdp", 4),
            {"weights": 200, "adapters": 20, "gradients": 20, "optimizer": 40, "activations": 1000,
             "gathered layers": 200},
        ),
        (Strategy("fsdp", 1), PARTS),
        (
            Strategy("naive", 1),
            {"weights": 400, "adapters": 40, "gradients": 40, "optimizer": 80, "activations": 1000},
        ),
    ],
    ids=lambda value: value.kind + str(value.world) if isinstance(value, Strategy) else "",
)  # fmt: skip
def test_strategies_divide_what_they_shard(strategy, expected):
    assert sharing.share(PARTS, strategy, layers=8, trained=40, cards=2) == expected


def test_what_cannot_be_traced_is_estimated_and_says_so(job):
    found = predict(job.replace(model={**job.model, "model_type": "no-such-model"}), card(24), ONE, SIZES)

    assert "no-such-model" in found.problem
    assert found.parts["weights"] == 400_000
    assert found.allocated > 400_000


def test_the_formula_and_the_trace_agree_roughly(job):
    """The fallback is rough, but of the same order."""
    wide = job.replace(model={**job.model, "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 4})
    parameters = 2 * 1000 * 512 + 4 * (2 * 512 * 512 + 2 * 512 * 256 + 3 * 512 * 2048)
    wide = wide.replace(length=2048, loss="plain")
    traced = predict(wide, card(24), ONE, (parameters, 60_000))
    unknown = predict(wide.replace(model={**wide.model, "model_type": "unknown"}), card(24), ONE, (parameters, 60_000))

    assert 0.5 < unknown.allocated / traced.allocated < 2


def test_a_trace_is_kept_and_found_again(job):
    made = []

    def trace(_):
        made.append(1)
        return Trace(1, 2, {"weights": 1})

    assert cache.cached(job, trace) == cache.cached(job, trace) == Trace(1, 2, {"weights": 1})
    assert len(made) == 1
    cache.cached(job.replace(batch=3), trace)
    assert len(made) == 2


def test_other_libraries_are_traced_again(job, monkeypatch):
    made = []
    trace = lambda _: (made.append(1), Trace(1, 2, {}))[1]  # noqa: E731
    cache.cached(job, trace)
    monkeypatch.setattr(cache, "versions", lambda: {"torch": "99"})
    cache.cached(job, trace)

    assert len(made) == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"other": 1}'])
def test_a_broken_entry_is_made_anew(job, content):
    cache.cached(job, lambda _: Trace(1, 2, {}))
    next(cache.folder().iterdir()).write_text(content)

    assert cache.cached(job, lambda _: Trace(3, 4, {})) == Trace(3, 4, {})


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(job, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    assert cache.cached(job, lambda _: Trace(1, 2, {})) == Trace(1, 2, {})


def test_on_the_cpu_nothing_is_traced_where_memory_is_plenty(job):
    plenty = predict_here(job, Target(local=True, ram=64 * GIB), ONE, SIZES)
    short = predict_here(job, Target(local=True, ram=GIB), ONE, SIZES)

    assert plenty.problem == "memory is plenty"
    assert plenty.verdict() == "fits"
    assert short.problem is None
    assert short.device == "the CPU's memory"


def test_a_machine_of_unknown_memory_is_not_judged(job):
    found = predict_here(job, Target(local=False), ONE, SIZES)

    assert replace(found).verdict() == "fits"
    assert found.capacity is None

import contextlib
import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from preflight.clearance import Refused
from preflight.trainer import checkpoints

ADAPTER = {"lora_A": torch.ones(3, 4), "lora_B": torch.zeros(4, 3)}
INDEX = "model.safetensors.index.json"
ALONE = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")


def checkpoint(folder, step, *, without=(), names=ALONE, weights=None):
    """A checkpoint as transformers writes it: what it saves with torch, as one process or another engine does."""
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    for name in {*names} - {*without}:
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if name == "trainer_state.json":
            file.write_text(json.dumps({"global_step": step}))
        elif name == INDEX:
            file.write_text(
                json.dumps({"weight_map": {"lora_A": "model-1.safetensors", "lora_B": "model-2.safetensors"}})
            )
        elif file.suffix == ".safetensors":
            save_file(ADAPTER if weights is None else weights, file)
        elif file.suffix in (".pt", ".pth", ".bin"):
            torch.save({"state": torch.ones(100)}, file)
        else:
            file.write_text("global_step7\n")
    return path


def test_the_newest_whole_checkpoint_is_taken_and_others_get_a_line_each(tmp_path):
    checkpoint(tmp_path, 9)
    wanted = checkpoint(tmp_path, 10)
    checkpoint(tmp_path, 20, without=["optimizer.pt"])
    os.truncate(checkpoint(tmp_path, 30) / "optimizer.pt", 700)
    (tmp_path / "checkpoint-best").mkdir()
    (tmp_path / "checkpoint-40").write_text("no folder")

    last, passed = checkpoints.survey(tmp_path)

    assert last == wanted
    assert [str(one) for one in passed] == [
        "checkpoint-30 is incomplete (optimizer.pt is cut off): skipped",
        "checkpoint-20 is incomplete (optimizer.pt is missing): skipped",
    ]


@pytest.mark.parametrize("missing", ALONE)
def test_a_checkpoint_without_one_of_its_files_is_skipped(tmp_path, missing):
    checkpoint(tmp_path, 1, without=[missing])

    (passed,) = checkpoints.survey(tmp_path)[1]

    assert passed.why == f"{missing} is missing"
    assert passed.half


@pytest.mark.parametrize("file", ALONE)
@pytest.mark.parametrize("kept", [0, 1, 0.5, -1], ids=["nothing", "a byte", "half", "all but a byte"])
def test_a_checkpoint_with_a_file_that_is_cut_off_is_skipped(tmp_path, file, kept):
    file = checkpoint(tmp_path, 1) / file
    size = file.stat().st_size
    os.truncate(file, {0: 0, 1: 1, 0.5: size // 2, -1: size - 1}[kept])

    (passed,) = checkpoints.survey(tmp_path)[1]

    assert passed.why == f"{file.name} is cut off"
    assert passed.half


def test_a_file_whose_bytes_never_reached_the_disk_is_noticed(tmp_path):
    """After a power failure, a file may have its size and hold zeros."""
    file = checkpoint(tmp_path, 1) / "optimizer.pt"
    content = file.read_bytes()
    at = content.index(torch.ones(100).numpy().tobytes())
    file.write_bytes(content[:at] + bytes(400) + content[at + 400 :])
    assert not torch.load(file)["state"].any()  # torch doesn't notice

    (passed,) = checkpoints.survey(tmp_path)[1]

    assert passed.why == "optimizer.pt is damaged"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.data())
def test_no_damage_makes_it_stumble(tmp_path_factory, data):
    path = checkpoint(tmp_path_factory.mktemp("damaged"), 1)
    file = path / data.draw(st.sampled_from(ALONE))
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))])

    checkpoints.survey(path.parent)


FSDP_PARTS = [
    f"{part}_0/{name}" for part in ("pytorch_model_fsdp", "optimizer") for name in (".metadata", "__0_0.distcp")
]
DEEPSPEED = ["latest", "global_step7/mp_rank_00_model_states.pt"]


@pytest.mark.parametrize(
    "needed, others",
    [
        pytest.param(ALONE, ["scaler.pt", "training_args.bin"], id="fp16"),
        pytest.param(["model.safetensors", *ALONE[1:]], [], id="full"),
        pytest.param([INDEX, "model-1.safetensors", "model-2.safetensors", *ALONE[1:]], [], id="shards"),
        pytest.param([*ALONE[:3], "rng_state_0.pth", "rng_state_1.pth", ALONE[-1]], [], id="DDP"),
        pytest.param(["pytorch_model_fsdp.bin", "optimizer.bin", *ALONE[2:]], [ALONE[0]], id="FSDP-whole"),
        pytest.param([*FSDP_PARTS, *ALONE[2:]], [], id="FSDP-parts"),
        pytest.param([*DEEPSPEED, *ALONE[3:]], [ALONE[0], "global_step7/rank_0_optim_states.pt"], id="DeepSpeed"),
    ],
)
def test_every_engines_checkpoints_count_with_all_their_files_and_with_none_missing(tmp_path, needed, others):
    for step, missing in enumerate(["", *needed, *others]):
        found = checkpoints.flaw(checkpoint(tmp_path, step, names=[*needed, *others], without=[missing]))
        assert (found is not None) == (missing in needed), (missing, found)


@pytest.mark.parametrize(
    "ranks, processes, missing",
    [
        ([0, 1], 2, None),
        ([0, 1], None, None),
        ([0], 2, "1"),
        ([0], None, "1"),
        ([0, 1, 3], 4, "2"),
        ([0, 2], None, "1"),
    ],
)
def test_the_random_state_of_every_process_is_needed(tmp_path, ranks, processes, missing):
    names = [name for name in ALONE if name != "rng_state.pth"] + [f"rng_state_{rank}.pth" for rank in ranks]

    found = checkpoints.flaw(checkpoint(tmp_path, 1, names=names), processes)

    assert (found and found.why) == (missing and f"rng_state_{missing}.pth is missing")


def test_a_checkpoint_of_another_step_is_skipped(tmp_path):
    checkpoint(tmp_path, 7).rename(tmp_path / "checkpoint-8")

    assert checkpoints.survey(tmp_path)[1][0].why == "trainer_state.json is of step 7"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_does_not_go_on_from_weights_that_are_not_finite(tmp_path, value, dtype):
    weights = {"lora_A": torch.ones(4, 4, dtype=dtype), "lora_B": torch.tensor([0.0, value], dtype=dtype)}
    wanted = checkpoint(tmp_path, 1)
    broken = checkpoint(tmp_path, 2, weights=weights)

    last, (passed,) = checkpoints.go_on(tmp_path)

    assert last == wanted
    assert str(passed) == "checkpoint-2 holds weights that are not finite (lora_B): skipped"
    assert not broken.exists()
    assert len([*tmp_path.glob("previous/*/checkpoint-2/optimizer.pt")]) == 1


def test_what_is_half_written_goes_and_what_is_whole_stays(tmp_path):
    """Transformers would write into the same folders again: the mixture could pass for whole."""
    checkpoint(tmp_path, 1, without=["optimizer.pt"])  # older: in nobody's way
    wanted = checkpoint(tmp_path, 2)
    checkpoint(tmp_path, 3, without=["trainer_state.json"])
    checkpoint(tmp_path, 4, names=["adapter_model.safetensors", "trainer_state.json"])

    last, passed = checkpoints.go_on(tmp_path)

    assert last == wanted
    assert str(passed[0]) == "checkpoint-4 holds weights alone (`save_only_model`): skipped"
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-1", "checkpoint-2", "previous"}
    assert [path.name for path in tmp_path.glob("previous/*/*")] == ["checkpoint-4"]


def test_a_file_that_cant_be_read_now_is_not_taken_for_half_written(tmp_path, monkeypatch):
    path = checkpoint(tmp_path, 1)

    def broken(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("preflight.trainer.wholeness.zipfile.ZipFile", broken)
    with pytest.raises(OSError, match="Input/output"):
        checkpoints.go_on(tmp_path)
    assert (path / "optimizer.pt").is_file()


def test_an_unfinished_run_of_the_same_clearance_keeps_its_checkpoints(tmp_path):
    checkpoints.claim(tmp_path, "abc", 1)
    path = checkpoint(tmp_path, 1)

    checkpoints.claim(tmp_path, "abc", 1)

    assert checkpoints.last_whole(tmp_path) == path


@pytest.mark.parametrize("identity, finished", [("other", False), ("abc", True)])
def test_what_an_earlier_run_left_is_set_aside_and_not_lost(tmp_path, identity, finished):
    checkpoints.claim(tmp_path, "abc", 1)
    checkpoint(tmp_path, 1)
    (tmp_path / "run.jsonl").write_text("{}\n")
    if finished:
        checkpoints.finish(tmp_path)

    checkpoints.claim(tmp_path, identity, 1)

    assert checkpoints.last_whole(tmp_path) is None
    assert [path.name for path in tmp_path.glob("previous/*/checkpoint-*")] == ["checkpoint-1"]
    assert len(list(tmp_path.glob("previous/*/run.jsonl"))) == 1
    state = {"clearance": identity, "finished": False, "processes": 1}
    assert json.loads((tmp_path / "run.json").read_text()) == state


def test_another_number_of_processes_does_not_go_on_where_they_stopped(tmp_path):
    checkpoints.claim(tmp_path, "abc", 2)
    checkpoints.claim(tmp_path, "abc", 1)  # nothing was trained yet
    checkpoints.claim(tmp_path, "abc", 2)
    path = checkpoint(tmp_path, 3)

    with pytest.raises(Refused, match="checkpoint-3 is of a run on 2 processes, and this one is on 1"):
        checkpoints.claim(tmp_path, "abc", 1)
    assert path.is_dir()
    checkpoints.claim(tmp_path, "abc", 2)


@pytest.mark.parametrize("call", range(12))
def test_being_killed_while_the_folder_changes_hands_loses_nothing(tmp_path, monkeypatch, call):
    """At any of the calls that change something; a second attempt ends as an undisturbed one."""
    checkpoints.claim(tmp_path, "abc", 1)
    for step in (1, 2):
        checkpoint(tmp_path, step)
    for name in ("run.jsonl", "run-card.md", "run-card.json"):
        (tmp_path / name).write_text(name)
    checkpoints.finish(tmp_path)
    left = call

    class Killed(BaseException):
        pass

    def until(method):
        def perform(*arguments, **more):
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return method(*arguments, **more)

        return perform

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        for name in ("rename", "replace", "write_text"):
            patch.setattr(Path, name, until(getattr(Path, name)))
        checkpoints.claim(tmp_path, "new", 1)

    checkpoints.claim(tmp_path, "new", 1)
    kept = sorted(path.name for path in tmp_path.glob("previous/*/*"))
    assert kept == ["checkpoint-1", "checkpoint-2", "run-card.json", "run-card.md", "run.json", "run.jsonl"]
    assert {path.name for path in tmp_path.iterdir()} == {"previous", "run.json"}
    assert json.loads((tmp_path / "run.json").read_text())["clearance"] == "new"


@pytest.fixture
def adapted(tiny):
    """Makes the tiny model with a fresh adapter of a method."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    def make(**settings):
        return get_peft_model(
            AutoModelForCausalLM.from_pretrained(tiny), LoraConfig(r=4, task_type="CAUSAL_LM", **settings)
        )

    return make


@pytest.mark.parametrize(
    "method, named",
    [
        ({}, "lora_B"),
        ({"use_dora": True}, "lora_magnitude_vector"),
        ({"modules_to_save": ["lm_head"]}, "lm_head"),
        ({"trainable_token_indices": [1, 2]}, "token_adapter"),
        ({"target_modules": ["embed_tokens", "q_proj"]}, "lora_embedding_B"),
    ],
)
def test_tensors_that_are_not_what_a_checkpoint_holds_are_named(tmp_path, adapted, method, named):
    model = adapted(**method)
    for name, tensor in model.named_parameters():
        if tensor.requires_grad and named in name:
            tensor.data += 1
    model.save_pretrained(tmp_path)

    assert checkpoints.same_as(model, tmp_path) == []
    assert checkpoints.same_as(SimpleNamespace(module=model), tmp_path) == []  # as DDP wraps it
    fresh = adapted(**method)
    differing = checkpoints.same_as(fresh, tmp_path)
    assert differing
    assert [name for name in differing if named in name]


def test_a_fully_trained_model_is_compared_too(tmp_path, tiny):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny)
    model.save_pretrained(tmp_path)
    assert checkpoints.same_as(model, tmp_path) == []

    model.model.norm.weight.data += 1
    save_file({"other": torch.ones(1)}, tmp_path / "other.safetensors")
    assert checkpoints.same_as(model, tmp_path) == ["model.norm.weight"]
    (tmp_path / "model.safetensors").unlink()
    assert len(checkpoints.same_as(model, tmp_path)) == len([*model.parameters()])


def test_tensors_in_parts_are_not_compared(tmp_path, tiny):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny)
    model.save_pretrained(tmp_path)
    model.model.norm.weight.data += 1
    model.model.norm.weight.ds_id = 1

    assert checkpoints.same_as(model, tmp_path) == []

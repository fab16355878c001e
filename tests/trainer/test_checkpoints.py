import json

import pytest

from preflight.trainer import checkpoints


def checkpoint(folder, step, *, without=()):
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    for name in (*checkpoints.NEEDED, "adapter_model.safetensors"):
        if name not in without:
            (path / name).write_text("{}")
    return path


def test_the_newest_whole_checkpoint_is_taken(tmp_path):
    checkpoint(tmp_path, 9)
    wanted = checkpoint(tmp_path, 10)
    checkpoint(tmp_path, 20, without=["optimizer.pt"])
    (tmp_path / "checkpoint-best").mkdir()

    assert checkpoints.last_whole(tmp_path) == wanted


@pytest.mark.parametrize("missing", [*checkpoints.NEEDED, "adapter_model.safetensors"])
def test_a_half_written_checkpoint_is_skipped(tmp_path, missing):
    checkpoint(tmp_path, 1, without=[missing])

    assert checkpoints.last_whole(tmp_path) is None


def test_a_cut_off_state_is_skipped(tmp_path):
    (checkpoint(tmp_path, 1) / "trainer_state.json").write_text('{"step": ')

    assert checkpoints.last_whole(tmp_path) is None


def test_an_unfinished_run_of_the_same_clearance_keeps_its_checkpoints(tmp_path):
    checkpoints.claim(tmp_path, "abc")
    path = checkpoint(tmp_path, 1)

    checkpoints.claim(tmp_path, "abc")

    assert checkpoints.last_whole(tmp_path) == path


@pytest.mark.parametrize("identity, finished", [("other", False), ("abc", True)])
def test_what_an_earlier_run_left_is_set_aside_and_not_lost(tmp_path, identity, finished):
    checkpoints.claim(tmp_path, "abc")
    checkpoint(tmp_path, 1)
    (tmp_path / "run.jsonl").write_text("{}\n")
    if finished:
        checkpoints.finish(tmp_path)

    checkpoints.claim(tmp_path, identity)

    assert checkpoints.last_whole(tmp_path) is None
    assert [path.name for path in tmp_path.glob("previous/*/checkpoint-*")] == ["checkpoint-1"]
    assert len(list(tmp_path.glob("previous/*/run.jsonl"))) == 1
    assert json.loads((tmp_path / "run.json").read_text()) == {"clearance": identity, "finished": False}

"""Whose checkpoints lie in the output folder, and which of them a run goes on from."""

import contextlib
import json
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from preflight.clearance import Refused
from preflight.model.build import short

from .wholeness import PassedOver, flaw, tensors

STATE = "run.json"
OURS = ("checkpoint-*", "run.jsonl", "run-card.*", STATE)


class NotWritten(OSError):
    """A checkpoint or a model can't be written, and why."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one way what stops a folder from being written: without room, each library raises something else.

    Raises:
        NotWritten: it can't be written.
    """
    try:
        yield
    except NotWritten:
        raise
    except Exception as error:  # OSError, SafetensorError, torch's RuntimeError, and of tokenizers a bare Exception
        room = shutil.disk_usage(path if path.exists() else path.parent).free / 2**20
        raise NotWritten(f"{path} can't be written, with {room:,.1f} MiB free there: {short(error)}") from error


def claim(output_dir: Path, identity: str, processes: int) -> None:
    """Make the output folder this run's: keep what an unfinished run of the same clearance left, set aside the rest.

    Args:
        output_dir: The folder.
        identity: What was cleared, as a digest.
        processes: How many processes train.

    Raises:
        OSError: the folder can't be written to.
        Refused: an unfinished run left checkpoints of another number of processes.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    state = _state(output_dir)
    now = {"clearance": identity, "finished": False, "processes": processes}
    if state.get("clearance") == identity and not state.get("finished"):
        before, left = state.get("processes", processes), _newest_first(output_dir)
        if left and before != processes:
            raise Refused(
                f"{left[0].name} is of a run on {before} processes, and this one is on {processes}: other rows would "
                f"come together in a batch. Launch {before}, or move {output_dir} away to begin anew"
            )
    else:
        _set_aside(output_dir, [path for pattern in OURS for path in output_dir.glob(pattern)])
    if state != now:
        _write(output_dir, now)


def finish(output_dir: Path) -> None:
    """Note that the run is complete, so that the next one starts afresh."""
    _write(output_dir, {**_state(output_dir), "finished": True})


def go_on(output_dir: Path) -> tuple[Path | None, list[PassedOver]]:
    """The checkpoint to go on from, with the newer ones that were passed over: these are out of the way then.

    The run will write folders of their names again, and a mixture of old files and new ones could pass for whole.
    What is half-written is deleted, and anything else set aside.

    Raises:
        OSError: the folder can't be written to, or a file not be read.
    """
    last, passed = survey(output_dir)
    for one in passed:
        if one.half:
            shutil.rmtree(one.path)
    _set_aside(output_dir, [one.path for one in passed if not one.half])
    return last, passed


def last_whole(output_dir: Path) -> Path | None:
    """The newest checkpoint that a run can go on from; None if there is none."""
    return survey(output_dir)[0]


def survey(output_dir: Path) -> tuple[Path | None, list[PassedOver]]:
    """The newest checkpoint that a run can go on from, and the newer ones that it can't, newest first."""
    processes = _state(output_dir).get("processes")
    passed: list[PassedOver] = []
    for path in _newest_first(output_dir):
        wrong = flaw(path, processes)
        if wrong is None:
            return path, passed
        passed.append(wrong)
    return None, passed


def same_as(model: Any, checkpoint: Path) -> list[str]:
    """Names of trained tensors that are not what a checkpoint holds: after resuming from it, there are none.

    Where tensors are spread over processes, nothing is compared.

    Args:
        model: The model, wrapped or not.
        checkpoint: The checkpoint that it was loaded from.
    """
    import torch

    model = getattr(model, "module", model)
    trained = {name: tensor for name, tensor in model.named_parameters() if tensor.requires_grad}
    if any(map(_is_spread, trained.values())):
        return []
    if hasattr(model, "peft_config"):
        from peft import get_peft_model_state_dict

        now = get_peft_model_state_dict(model, adapter_name=model.active_adapters[0], save_embedding_layers=False)
    else:
        now = trained
    saved = dict(tensors(checkpoint))
    if not saved:
        return []
    return [
        name
        for name, tensor in now.items()
        if name not in saved or not torch.equal(tensor.detach().cpu(), saved[name].to(tensor.dtype))
    ]


def _is_spread(tensor: Any) -> bool:
    """Whether FSDP, FSDP2, DeepSpeed ZeRO-3 or a disk has the rest of it."""
    return tensor.is_meta or any(hasattr(tensor, name) for name in ("_is_flat_param", "device_mesh", "ds_id"))


def _newest_first(output_dir: Path) -> list[Path]:
    steps = {path: path.name.rpartition("-")[2] for path in output_dir.glob("checkpoint-*") if path.is_dir()}
    found = [path for path, step in steps.items() if step.isdecimal()]
    return sorted(found, key=lambda path: int(steps[path]), reverse=True)


def _set_aside(output_dir: Path, paths: Iterable[Path]) -> None:
    """Move to a folder of their own, in order: whoever is killed meanwhile has lost nothing."""
    aside = output_dir / "previous" / datetime.now(UTC).strftime("%Y%m%d-%H%M%S.%f")
    for path in paths:
        aside.mkdir(parents=True, exist_ok=True)
        path.rename(aside / path.name)


def _state(output_dir: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((output_dir / STATE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _write(output_dir: Path, state: dict[str, Any]) -> None:
    temporary = output_dir / f".{STATE}"
    temporary.write_text(json.dumps(state), encoding="utf-8")
    temporary.replace(output_dir / STATE)

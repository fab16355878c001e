"""Experiment trackers: what they need to be installed and logged in. Nothing secret is read, only whether it is
there."""

import importlib.util
import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Tracker(NamedTuple):
    """A tracker as transformers names it.

    Attributes:
        module: What must be installed.
        keys: Variables of which one logs it in; none for a tracker that keeps its data here.
        files: Files in the home folder of which one logs it in.
        off: Values of variables that make it work without.
        host: Its entry in `.netrc`.
        login: What to type.
    """

    module: str
    keys: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    off: Mapping[str, tuple[str, ...]] = {}
    host: str | None = None
    login: str = ""


TRACKERS: Mapping[str, Tracker] = {
    "wandb": Tracker(
        "wandb",
        ("WANDB_API_KEY",),
        off={"WANDB_MODE": ("offline", "disabled", "dryrun"), "WANDB_DISABLED": ("true", "1")},
        host="api.wandb.ai",
        login="wandb login",
    ),
    "comet_ml": Tracker(
        "comet_ml", ("COMET_API_KEY",), (".comet.config",), {"COMET_START_ONLINE": ("0", "false")}, login="comet login"
    ),
    "neptune": Tracker("neptune", ("NEPTUNE_API_TOKEN",), off={"NEPTUNE_MODE": ("offline", "debug")}),
    "swanlab": Tracker(
        "swanlab",
        ("SWANLAB_API_KEY",),
        (".swanlab/.netrc",),
        {"SWANLAB_MODE": ("local", "offline", "disabled")},
        login="swanlab login",
    ),
    "clearml": Tracker("clearml", ("CLEARML_API_ACCESS_KEY",), ("clearml.conf",), login="clearml-init"),
    "mlflow": Tracker("mlflow"),
    "tensorboard": Tracker("tensorboard"),
    "trackio": Tracker("trackio"),
    "codecarbon": Tracker("codecarbon"),
    "dvclive": Tracker("dvclive"),
}


def asked_for(report_to: object) -> list[str]:
    """The trackers that `training.report_to` names; `all` and `none` are transformers' words."""
    if report_to is None or report_to == "none":
        return []
    names = [report_to] if isinstance(report_to, str) else list(report_to) if isinstance(report_to, list) else []
    return [name for name in map(str, names) if name != "none"]


def problem(name: str, environment: Mapping[str, str] = os.environ, home: Path | None = None) -> str | None:
    """What a tracker lacks here; None if nothing, or if it isn't known here."""
    tracker = TRACKERS.get(name)
    if tracker is None:
        return None
    if importlib.util.find_spec(tracker.module) is None:
        return "isn't installed"
    home = home or Path.home()
    without = any(environment.get(key, "").lower() in values for key, values in tracker.off.items())
    known = any(environment.get(key) for key in tracker.keys) or any((home / file).is_file() for file in tracker.files)
    if not tracker.keys or without or known or (tracker.host and _in_netrc(tracker.host, environment, home)):
        return None
    return "isn't logged in"


def _in_netrc(host: str, environment: Mapping[str, str], home: Path) -> bool:
    path = Path(environment.get("NETRC") or home / ".netrc")
    try:
        return netrc.netrc(path).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False

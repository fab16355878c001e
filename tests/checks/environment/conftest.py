"""Targets made for a test in the place of this machine."""

import math
import time
from dataclasses import replace

import pytest

from preflight import target as targets
from preflight.machine import Host
from preflight.target import Gpu, Target

HOST = Host(8, 2**34, 2**30, "ext4", 65536, math.inf, time.time())
CARD = Gpu("Card", 24 * 2**30, 23 * 2**30, (8, 6), bf16=True)
HERE = Target(
    local=True,
    gpus=(CARD,),
    cuda="12.8",
    driver="570.1",
    ram=2**35,
    driver_cuda="12.8",
    driver_cards=("Card",),
    host=HOST,
)


@pytest.fixture
def on_machine(monkeypatch):
    """Let the gate see another machine: fields of `Target`, and of its `Host`."""

    def see(**changes):
        host = {key: changes.pop(key) for key in tuple(changes) if hasattr(HOST, key) and not hasattr(HERE, key)}
        seen = replace(HERE, host=replace(HOST, **host), **changes)
        monkeypatch.setattr(targets, "target_of", lambda config: seen)

    return see

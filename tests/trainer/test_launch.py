"""The launch against the config: what agrees is let through, anything else is refused with the right command."""

import pytest

from preflight.clearance import Refused
from preflight.config import load_config

FOUR = {"hardware": {"gpu": "A100", "memory_gib": 80, "count": 4}}
FSDP = {"training": {"fsdp": "full_shard"}}
SPREAD = {"model": {"device_map": "auto"}}


@pytest.fixture
def agrees(project):
    from preflight.trainer import launch

    def compare(environment, **sections):
        return launch.agrees(load_config(project.set(**sections).write()), environment)

    return compare


@pytest.mark.parametrize(
    "environment, sections, line",
    [
        pytest.param({}, {}, "", id="one process"),
        pytest.param({"WORLD_SIZE": "1"}, {}, "", id="one, under a launcher"),
        pytest.param({"WORLD_SIZE": "2"}, {}, "2 processes, 8 rows a step", id="two, and the config leaves it open"),
        pytest.param({"WORLD_SIZE": "4"}, FOUR, "4 processes, 16 rows a step", id="as many as the config says"),
        pytest.param({}, FOUR | SPREAD, "", id="one process spreads the layers"),
        pytest.param({}, {"hardware": {"count": 0}}, "", id="described without a card"),
        pytest.param(
            {"WORLD_SIZE": "2", "ACCELERATE_USE_FSDP": "true"}, FSDP, "2 processes, 8 rows a step", id="FSDP, both say"
        ),
        pytest.param({"WORLD_SIZE": "2"}, FSDP, "2 processes, 8 rows a step", id="FSDP by the config alone"),
        pytest.param({"ACCELERATE_USE_FSDP": "false"}, {}, "", id="accelerate says no"),
    ],
)
def test_launches_that_agree(agrees, environment, sections, line):
    assert agrees(environment, **sections) == line


@pytest.mark.parametrize(
    "environment, sections, words",
    [
        pytest.param(
            {},
            FOUR,
            ["hardware.count is 4, and 1 process was launched", "4 rows, and was judged with 16", "--nproc_per_node 4"],
            id="too few",
        ),
        pytest.param({"WORLD_SIZE": "8"}, FOUR, ["8 processes were launched", "--nproc_per_node 4"], id="too many"),
        pytest.param(
            {"WORLD_SIZE": "4"}, FOUR | SPREAD, ["Launch it with: preflight train"], id="one is to spread the layers"
        ),
        pytest.param({}, FSDP, ["training.fsdp needs several processes", "--nproc_per_node 2"], id="FSDP alone"),
        pytest.param(
            {"WORLD_SIZE": "2", "ACCELERATE_USE_FSDP": "true"},
            {},
            ["accelerate was told to use fsdp", "says nothing of it", "Move it to training.fsdp"],
            id="FSDP that was not judged",
        ),
        pytest.param(
            {"WORLD_SIZE": "2", "ACCELERATE_USE_DEEPSPEED": "true"}, FSDP, ["says training.fsdp"], id="another engine"
        ),
    ],
)
def test_launches_that_do_not(agrees, environment, sections, words):
    with pytest.raises(Refused) as refused:
        agrees(environment, **sections)

    assert [word for word in words if word not in str(refused.value)] == [], str(refused.value)

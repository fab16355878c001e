"""The launch against the config: what agrees is let through, anything else is refused with the right command."""

import pytest

from preflight.clearance import Refused
from preflight.config import load_config

FOUR = {"hardware": {"gpu": "A100", "memory_gib": 80, "count": 4}}
ONE = {"hardware": {"gpu": "A100", "memory_gib": 80}}
SIXTEEN = {"hardware": {"gpu": "A100", "memory_gib": 80, "count": 16}}
FSDP = {"training": {"fsdp": True}}
FP32 = {"training": {"bf16": False}}
SPREAD = {"model": {"device_map": "auto"}}


@pytest.fixture
def agrees(project):
    from preflight.trainer import launch

    def compare(environment, sections, cards=0):
        return launch.agrees(load_config(project.set(**sections).write()), environment, cards)

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
        pytest.param({"WORLD_SIZE": "1"}, ONE | FSDP, "", id="FSDP on one card, under a launcher"),
        pytest.param(
            {"WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8"}, SIXTEEN, "16 processes, 64 rows a step", id="two machines"
        ),
        pytest.param(
            {"ACCELERATE_MIXED_PRECISION": "no", "ACCELERATE_DYNAMO_BACKEND": "NO"},
            FP32,
            "",
            id="what accelerate sets unasked",
        ),
        pytest.param({"ACCELERATE_MIXED_PRECISION": "fp16"}, {}, "", id="a precision that the config's wins over"),
        pytest.param(
            {"ACCELERATE_DYNAMO_BACKEND": "INDUCTOR"},
            {"training": {"torch_compile": True}},
            "",
            id="compiled, both say",
        ),
    ],
)
def test_launches_that_agree(agrees, environment, sections, line):
    assert agrees(environment, sections) == line


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
        pytest.param({}, FSDP, ["training.fsdp needs a launcher", "--nproc_per_node 8 "], id="FSDP alone"),
        pytest.param({}, ONE | FSDP, ["needs a launcher", "--nproc_per_node 1 "], id="FSDP alone, on one card"),
        pytest.param({"WORLD_SIZE": "2"}, ONE | FSDP, ["--nproc_per_node 1 "], id="too many for one card"),
        pytest.param(
            {"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "8"},
            SIXTEEN,
            ["8 processes were launched", "on each of 2 machines", "--nnodes 2 --nproc_per_node 8 "],
            id="one of two machines",
        ),
        pytest.param(
            {"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"},
            SIXTEEN,
            ["on each of 4 machines", "--nnodes 4 --nproc_per_node 4 "],
            id="too few machines",
        ),
        pytest.param(
            {"WORLD_SIZE": "2", "ACCELERATE_USE_FSDP": "true"},
            {},
            ["accelerate was told to use fsdp", "doesn't say so", "Move it to training.fsdp", "--nproc_per_node 2 "],
            id="FSDP that was not judged",
        ),
        pytest.param(
            {"WORLD_SIZE": "2", "ACCELERATE_USE_DEEPSPEED": "true"},
            FSDP,
            ["told to use deepspeed", "Move it to training.deepspeed"],
            id="another engine",
        ),
        pytest.param(
            {"WORLD_SIZE": "4", "ACCELERATE_USE_PARALLELISM_CONFIG": "true"},
            {},
            ["share a row among processes", "The gate can't judge it"],
            id="tensors or sequences in parts",
        ),
        pytest.param({"ACCELERATE_USE_MEGATRON_LM": "true"}, {}, ["told to use Megatron-LM"], id="Megatron-LM"),
        pytest.param(
            {"ACCELERATE_MIXED_PRECISION": "fp16"},
            FP32,
            ["told to compute in fp16", "Set training.bf16 or training.fp16", "preflight train"],
            id="a precision that was not judged",
        ),
        pytest.param(
            {"ACCELERATE_DYNAMO_BACKEND": "INDUCTOR"}, {}, ["told to compile the model (inductor)"], id="compiled"
        ),
    ],
)
def test_launches_that_do_not(agrees, environment, sections, words):
    with pytest.raises(Refused) as refused:
        agrees(environment, sections, cards=8)

    assert [word for word in words if word not in str(refused.value)] == [], str(refused.value)

"""CFG-190 gradient-checkpointing: needed where activations don't fit, and only there."""

import pytest

LONG = {"text": "one two three four five six seven eight nine ten " * 200}


@pytest.mark.parametrize(
    ("hardware", "checkpointing", "outcome"),
    [
        ({"gpu": "Some card", "memory_gib": 0.6}, True, "passed"),
        ({"gpu": "Some card", "memory_gib": 0.6}, False, "warned"),
        ({"gpu": "Some card", "memory_gib": 24}, False, "passed"),
        ({"target": "local"}, False, "passed"),
    ],
)
def test_it_is_asked_for_where_memory_is_short(project, expect, hardware, checkpointing, outcome):
    project.rows([LONG] * 8)
    project.rows([LONG] * 2, "validation.jsonl")
    project.set(hardware=hardware)
    project.set(training={"assistant_only_loss": False, "max_length": 2048, "gradient_checkpointing": checkpointing})

    expect("CFG-190", outcome)

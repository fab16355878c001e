"""CFG-170 packing-isolated, CFG-171 batches-mixed."""

import pytest


@pytest.mark.parametrize(
    ("training", "outcome"),
    [
        ({"packing": True, "packing_strategy": "wrapped"}, "warned"),
        ({"packing": True, "packing_strategy": "bfd"}, "passed"),
        ({"packing": True}, "passed"),
        ({"packing": False, "packing_strategy": "wrapped"}, "not-applicable"),
    ],
)
def test_packed_examples_are_kept_apart(project, expect, training, outcome):
    project.set(training=training)

    expect("CFG-170", outcome)


@pytest.mark.parametrize(("strategy", "outcome"), [("group_by_length", "warned"), ("random", "passed")])
def test_grouping_by_length_is_said(project, expect, strategy, outcome):
    project.set(training={"train_sampling_strategy": strategy})

    expect("CFG-171", outcome)

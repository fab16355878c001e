"""TOK-124: packed rows are supervised as the single examples are."""

import pytest

CODE = "TOK-124"


@pytest.mark.parametrize("strategy", ["bfd", "bfd_split", "wrapped"])
def test_packing_keeps_the_labels(project, expect, strategy):
    project.set(training={"packing": True, "packing_strategy": strategy, "max_length": 48})

    assert expect(CODE, "passed") == []


def test_packing_that_loses_them_is_found(project, expect, monkeypatch):
    import trl

    real = trl.pack_dataset
    everything = lambda row: {"labels": row["input_ids"]}  # noqa: E731
    monkeypatch.setattr(trl, "pack_dataset", lambda data, *more: real(data.map(everything), *more))
    project.set(training={"packing": True})
    (finding,) = expect(CODE, "failed")

    assert finding["message"] == "packing changes what is supervised"
    assert finding["where"].startswith("config.yaml:")


def test_without_packing_there_is_nothing_to_judge(expect):
    assert expect(CODE, "not-applicable") == []

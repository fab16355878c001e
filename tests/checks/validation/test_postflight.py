"""A whole postflight on the tiny model, which no training makes sensible: red, and for the right reasons."""


def test_a_random_model_is_red_because_it_does_not_stop(flown):
    flown.set(evaluation={"max_new_tokens": 24, "format": "To .*"})

    run = flown.gate(stage="postflight")

    outcomes = {check["code"]: check["outcome"] for check in run.report["checks"]}
    assert run.report["verdict"] == "red", run.screen
    assert "error" not in outcomes.values(), run.screen
    assert "not-available" not in outcomes.values(), run.screen
    for code in ("RUN-101", "POST-101", "POST-102", "POST-106"):
        assert outcomes[code] == "passed", run.screen
    assert outcomes["POST-104"] == outcomes["POST-107"] == "failed", run.screen
    assert run.check("POST-104")["evidence"]["answers"] == 16
    assert run.findings("POST-104")[0]["where"].startswith("validation row ")
    assert not (flown.folder / "run" / "postflight" / "clearance.json").exists()


def test_plain_text_asks_nothing(flown):
    """Then answers are not applicable, while the loss on held-out text still is."""
    flown.rows([{"text": f"The lamp number {n} burns for {n + 1} hours."} for n in range(16)], "validation.jsonl")

    run = flown.gate("-k", "POST-103 or POST-104 or POST-105", stage="postflight")

    assert (run.outcome("POST-103"), run.outcome("POST-104")) == ("not-applicable", "not-applicable"), run.screen
    assert run.outcome("POST-105") in ("passed", "failed")


def test_without_validation_data_nothing_held_out_is_judged(flown):
    del flown.config["data"]["validation"]

    run = flown.gate("-k", "POST-103 or POST-105", stage="postflight")

    assert (run.outcome("POST-103"), run.outcome("POST-105")) == ("not-applicable", "not-applicable")


def test_ruined_weights_are_seen_in_log_file_and_loss(flown):
    """The trainer would have stopped: this run is as others leave it."""
    from safetensors.torch import load_file, save_file

    run = flown.folder / "run"
    weights = load_file(run / "adapter_model.safetensors")
    save_file({name: value * float("nan") for name, value in weights.items()}, run / "adapter_model.safetensors")
    with (run / "run.jsonl").open("a") as stream:
        stream.write('{"step": 9, "loss": NaN}\n')

    judged = flown.gate("-k", "RUN-101 or POST-102 or POST-105", stage="postflight")

    assert judged.outcome("RUN-101") == "failed", judged.screen
    assert judged.outcome("POST-102") == "failed", judged.screen
    assert judged.outcome("POST-105") == "failed", judged.screen

"""`preflight doctor`: the machine as the checks see it, and nothing secret."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from preflight import cli, doctor, driver, machine, target
from preflight.driver import Process
from preflight.target import GIB, Gpu

SECRETS = {
    "HF_TOKEN": "hf_planted0000000000000000000000000",
    "HUGGING_FACE_HUB_TOKEN": "hf_planted1111111111111111111111111",
    "WANDB_API_KEY": "planted2222222222222222222222222222222222",
    "MLFLOW_TRACKING_URI": "https://ann:planted3@mlflow.example.com",
    "HTTPS_PROXY": "http://bob:planted4@proxy.example.com:3128",
    "http_proxy": "http://bob:planted5@proxy.example.com:3128",
    "AWS_SECRET_ACCESS_KEY": "planted6666666",
    "NCCL_SECRET": "planted7777777",
    "MY_PASSWORD": "planted8888888",
    # Harmless names with something in them that is not.
    "LD_LIBRARY_PATH": "/opt/planted8888888/lib:/usr/lib",
    "NCCL_SOCKET_IFNAME": "http://carol:planted9@host",
    "PYTEST_ADDOPTS": "-p no:cacheprovider --basetemp=planted",
}


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_planted_secrets_are_nowhere_in_it(project, tmp_path, form):
    """In a process of its own, with everything that it reads for real."""
    home = tmp_path / "home" / "ann"
    home.mkdir(parents=True)
    project.set(training={"output_dir": str(home / "run"), "hub_token": "hf_planted-in-the-config"})
    variables = {**os.environ, **SECRETS, "HOME": str(home), "HF_HOME": f"{home}/hf", "CUDA_VISIBLE_DEVICES": "0,1"}

    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from preflight.cli import main; sys.exit(main())",
            "doctor",
            str(project.write()),
            *form,
        ],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )

    said = done.stdout + done.stderr
    assert "planted" not in said
    assert str(home) not in said
    assert "bob" not in said
    found = json.loads(done.stdout)["environment"] if form else said
    for name in ("HF_TOKEN", "WANDB_API_KEY", "HTTPS_PROXY", "MLFLOW_TRACKING_URI", "PYTEST_ADDOPTS"):
        assert found[name] == "set" if form else f"{name} set" in found
    for name, value in {
        "HF_HOME": "~/hf",
        "CUDA_VISIBLE_DEVICES": "0,1",
        "LD_LIBRARY_PATH": "/opt/(hidden)/lib:/usr/lib",
    }.items():
        assert found[name] == value if form else f"{name}={value}" in found


@pytest.mark.parametrize(
    "variables, found",
    [
        ({}, {"HF_TOKEN": "not set", "WANDB_API_KEY": "not set"}),
        ({"HF_TOKEN": ""}, {"HF_TOKEN": "empty", "WANDB_API_KEY": "not set"}),
        ({"EDITOR": "vi", "MY_TOKEN": "abc"}, {"HF_TOKEN": "not set", "WANDB_API_KEY": "not set"}),
        (
            {"WORLD_SIZE": "2", "HF_HUB_OFFLINE": "1", "NCCL_DEBUG": "INFO", "WANDB_API_KEY": "k"},
            {
                "WORLD_SIZE": "2",
                "HF_HUB_OFFLINE": "1",
                "NCCL_DEBUG": "INFO",
                "WANDB_API_KEY": "set",
                "HF_TOKEN": "not set",
            },
        ),
    ],
)
def test_harmless_variables_have_their_value_and_others_only_a_state(variables, found):
    assert doctor.environment(variables) == found


@pytest.mark.parametrize(
    "text, cleaned",
    [
        ("a secret1 b", "a (hidden) b"),
        ("https://u:p@host/x and http://h/y", "https://(hidden)@host/x and http://h/y"),
        ("/home/ann/run:/home/ann", "~/run:~"),
        ("/home/anna/run", "/home/anna/run"),
        ("short", "short"),
    ],
)
def test_cleaning(monkeypatch, text, cleaned):
    monkeypatch.setenv("HOME", "/home/ann")

    assert doctor.clean({"at": [text]}, {"A_TOKEN": "secret1", "B_KEY": "short"}) == {"at": [cleaned]}


def test_it_says_what_this_machine_has(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    assert cli.main(["doctor"]) == 0
    said = capsys.readouterr().out
    for word in ("python", "torch", "transformers", "memory", "processors", "/dev/shm", "limits", "clock"):
        assert f"\n  {word}" in f"\n{said}"
    assert "Run of" not in said


def test_a_run_is_told_by_what_it_is_judged(project, capsys):
    project.set(hardware={"gpu": "T4", "memory_gib": 16, "cuda": "12.4"})

    assert cli.main(["doctor", str(project.write())]) == 0
    said = capsys.readouterr().out
    run = said.partition("Run of config.yaml")[2]
    assert "the machine that config.yaml:" in run
    assert "T4: 14.56 GiB, capability 7.5, no bf16" in run
    assert "kind single, world 1" in run
    assert "stored float32" in run
    assert "ENV-140" in run


def test_a_config_that_cant_be_read_exits_4(tmp_path, capsys):
    assert cli.main(["doctor", str(tmp_path / "none.yaml")]) == 4
    assert "no such file" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_said_and_no_crash(project, capsys):
    project.set(model={"name_or_path": "gone"}, gate={"checks": ["gone.py"]})

    assert cli.main(["doctor", str(project.write())]) == 0
    assert capsys.readouterr().out.count("can't be told: ") == 2


def test_a_torch_that_cant_be_imported_is_what_it_says_first(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)

    assert cli.main(["doctor"]) == 0
    assert "torch can't be imported" in capsys.readouterr().out


def test_cards_their_users_and_why_there_are_none(monkeypatch, capsys):
    card = Gpu(
        "NVIDIA L4",
        22 * GIB,
        20 * GIB,
        (8, 9),
        bf16=True,
        processes=(Process(7, "python", 2 * GIB), Process(8, None, None)),
    )
    monkeypatch.setattr(target, "local_gpus", lambda: ((card,), None))
    cli.main(["doctor"])
    said = capsys.readouterr().out
    assert "NVIDIA L4: 22.00 GiB, 20.00 GiB free, capability 8.9, bf16\n" in said
    assert "used by 7 python: 2.00 GiB" in said
    assert "used by 8 (unknown): unknown" in said

    monkeypatch.setattr(target, "local_gpus", lambda: ((), "The NVIDIA driver on your system is too old"))
    monkeypatch.setattr(driver, "card_names", lambda: ("NVIDIA L4",))
    cli.main(["doctor"])
    said = capsys.readouterr().out
    assert "problem       The NVIDIA driver on your system is too old" in said
    assert "none that torch can use; the driver has NVIDIA L4" in said


def test_no_limit_is_said_in_words_and_as_json(monkeypatch, capsys):
    monkeypatch.setattr(machine, "_limit", lambda name: float("inf"))

    cli.main(["doctor", "--json"])

    assert json.loads(capsys.readouterr().out)["machine"]["host"]["open_files"] == "unlimited"


def test_the_folder_of_the_home_alone_is_struck_out(monkeypatch, capsys):
    monkeypatch.setenv("HF_HOME", str(Path.home() / "hf"))

    cli.main(["doctor"])

    assert "HF_HOME=~/hf" in capsys.readouterr().out

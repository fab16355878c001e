"""`preflight review` from the terminal: what it says, how it ends, and who is reviewing."""

import getpass
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import webbrowser
from urllib.parse import urlsplit

import pytest

from preflight import cli
from preflight.review import record
from preflight.signer import name_of_user

URL = re.compile(r"http://127\.0\.0\.1:\d+/\S+/")


def post(url, path, fields):
    """What a button does."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    headers = {"Origin": f"http://{parts.netloc}", "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", parts.path + path, fields, headers)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.fixture
def browser(monkeypatch):
    """A browser whose user presses these buttons, and then Done: a list of (page, fields)."""
    buttons: list[tuple[str, str]] = []

    def use(url):
        for path, fields in (*buttons, ("summary", "do=done")):
            assert post(url, path, fields) in (200, 303)

    def opened(url):
        threading.Thread(target=use, args=(url,)).start()
        return True

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", opened)
    return buttons


def test_a_review_from_start_to_end(project, browser, capsys, monkeypatch):
    monkeypatch.chdir(project.folder)
    browser += [("1", "do=accept&comment="), ("2", "do=reject&comment=rude")]
    project.write()

    assert cli.main(["review", "config.yaml", "--samples", "3", "--reviewer", "  Ada \n Lovelace"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "3 of 60 rows to review, as Ada Lovelace:"
    assert URL.fullmatch(said[1].strip())
    assert said[-1] == "config.review.json: 2 of 3 rows reviewed, 1 rejected, by Ada Lovelace"

    kept = record.load(project.folder / "config.review.json")
    assert [(said.verdict, said.comment) for _, said in kept.said()] == [("accept", ""), ("reject", "rude")]


def test_all_rows_are_drawn_if_there_are_fewer(project, browser, capsys, monkeypatch):
    monkeypatch.chdir(project.folder)
    project.text("".join((project.folder / "train.jsonl").read_text().splitlines(keepends=True)[:7]))

    assert cli.main(["review", str(project.write())]) == 0
    said = capsys.readouterr().out
    assert "7 of 7 rows to review" in said
    assert said.endswith("config.review.json: nothing reviewed yet\n")


def test_the_record_outlives_the_runs_folder_and_goes_on(project, browser, capsys, monkeypatch):
    monkeypatch.chdir(project.folder)
    browser += [("1", "do=accept&comment=")]
    arguments = ["review", str(project.write()), "--samples", "3", "--reviewer", "Ada"]
    assert cli.main(arguments) == 0
    subprocess.run(["rm", "-r", "run"], check=True)

    browser[:] = [("2", "do=accept&comment=")]
    assert cli.main([*arguments[:-1], "Bo"]) == 0
    assert "2 of 3 rows reviewed, 0 rejected, by Ada and Bo" in capsys.readouterr().out


def test_a_record_of_other_data_is_announced(project, browser, capsys, monkeypatch):
    monkeypatch.chdir(project.folder)
    browser += [("1", "do=accept&comment=")]
    assert cli.main(["review", str(project.write()), "--samples", "3", "--reviewer", "Ada"]) == 0
    with (project.folder / "train.jsonl").open("a") as stream:
        stream.write("\n")
    capsys.readouterr()

    browser.clear()
    assert cli.main(["review", "config.yaml", "--samples", "3"]) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first == (
        "config.review.json is of other data (train.jsonl has changed). It is moved aside with your first verdict."
    )
    assert last == "config.review.json: nothing reviewed yet"


@pytest.mark.parametrize(
    "change, code, told",
    [
        pytest.param(lambda p: p.set(data={"tran": "x"}), 4, "tran", id="a config with an error"),
        pytest.param(lambda p: p.set(model={"name_or_path": "./none"}), 1, "./none does not exist", id="no model"),
        pytest.param(lambda p: p.set(data={"train": "none.jsonl"}), 1, "there is no example to review", id="no data"),
        pytest.param(lambda p: p.text("{"), 1, "pytest --preflight config.yaml says why", id="broken data"),
        pytest.param(lambda p: p.text("{", "config.review.json"), 1, "config.review.json: Invalid", id="bad record"),
    ],
)  # fmt: skip
def test_what_cannot_be_reviewed_says_so(project, capsys, monkeypatch, change, code, told):
    monkeypatch.chdir(project.folder)
    change(project)
    project.write()

    assert cli.main(["review", "config.yaml", "--no-browser"]) == code
    said = capsys.readouterr()
    assert told in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_no_config_is_4(tmp_path, capsys):
    assert cli.main(["review", str(tmp_path / "none.yaml")]) == 4
    assert "no such file" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(project, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert cli.main(["review", str(project.write()), "--port", port]) == 1
    assert f"port {port} can't be used" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--samples", "0"], ["--samples", "x"], ["--port", "70000"], ["--port", "-1"]])
def test_numbers_that_make_no_sense_are_refused(capsys, arguments):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["review", "config.yaml", *arguments])
    assert f"argument {arguments[0]}" in capsys.readouterr().err


def test_ctrl_c_ends_it_with_what_stands_in_the_record(project):
    # A process that was started in the background ignores Ctrl-C, and so do its children.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    script = f"{heeding}; import sys; from preflight.cli import main; sys.exit(main())"
    arguments = ["review", str(project.write()), "--samples", "5", "--no-browser", "--reviewer", "Ada"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], cwd=project.folder, env=environment, text=True, **streams
    )
    assert process.stdout.readline() == "5 of 60 rows to review, as Ada:\n"
    url = process.stdout.readline().strip()
    assert post(url, "1", "do=reject&comment=rude") == 303
    process.send_signal(signal.SIGINT)

    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.splitlines()[-1] == "config.review.json: 1 of 5 rows reviewed, 1 rejected, by Ada"
    assert "Traceback" not in err


def test_without_a_display_no_browser_is_started(project, browser, capsys, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 50000 10.0.0.2 22")
    monkeypatch.setattr("preflight.review.server.Server.serve_forever", lambda self, **_: None)

    assert cli.main(["review", str(project.write()), "--samples", "3"]) == 0
    said = capsys.readouterr().out
    port = URL.search(said)[0].split(":")[2].partition("/")[0]
    assert f"ssh -L {port}:127.0.0.1:{port}" in said


def git(folder, *words):
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def test_the_reviewer_is_gits_user_or_else_the_login(project, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    assert name_of_user(project.folder) == "ada"

    git(project.folder, "init")
    git(project.folder, "config", "user.name", "Ada Lovelace")
    assert name_of_user(project.folder) == "Ada Lovelace"

    monkeypatch.setenv("PATH", "")
    assert name_of_user(project.folder) == "ada"

    monkeypatch.setattr(getpass, "getuser", lambda: os.stat("/nowhere"))
    assert name_of_user(project.folder) == "unknown"

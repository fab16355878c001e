"""Programs that go wrong in every way, really run: none of them gets further than its limits."""

import os
import socket
import tempfile
import threading
import time

import psutil
import pytest

from preflight.evaluation import sandbox
from preflight.evaluation.sandbox import Ran, isolation, run

ADD = "def add(a, b):\n    return a + b\n"
UNITTEST = """
import unittest

class TestAdd(unittest.TestCase):
    def test_add(self):
        self.assertEqual(add(1, 2), {})
"""
OWN_IDS = "--pid" in sandbox._way()
NO_NETWORK = bool(sandbox._way())


@pytest.mark.parametrize(
    "program, tests",
    [
        pytest.param(ADD, "assert add(1, 2) == 3", id="an assert"),
        pytest.param(ADD, "def test_add():\n    assert add(1, 2) == 3", id="a test function"),
        pytest.param(ADD, "from solution import add\nassert add(1, 2) == 3", id="imported"),
        pytest.param(ADD, UNITTEST.format(3), id="unittest"),
        pytest.param(ADD + "if __name__ == '__main__':\n    raise SystemExit(1)", "assert add(1, 2) == 3", id="main"),
        pytest.param("import numpy\nx = numpy.ones(3).sum()", "assert x == 3", id="an installed package"),
        pytest.param(
            "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: 'int' = 1", "assert A()", id="class"
        ),
        pytest.param("import os\nopen('a', 'w').write('b')", "assert os.listdir() == ['a']", id="an empty folder"),
        pytest.param("print('x' * 50_000_000)", "", id="a flood of output"),
        pytest.param("import threading\nt = threading.Thread(target=input, daemon=True)\nt.start()", "", id="a thread"),
        pytest.param("s = '\udcff'.encode('utf-8', 'replace')", "assert s", id="not UTF-8"),
    ],
)
def test_what_passes(program, tests):
    assert run(program, tests) == Ran(True)


@pytest.mark.parametrize(
    "program, tests, error",
    [
        pytest.param(ADD, "assert add(1, 2) == 4", "the tests: AssertionError, tests.py line 1", id="an assert"),
        pytest.param(ADD, "def test_add():\n    assert add(1, 2) == 4, 'no'", "AssertionError: no", id="a function"),
        pytest.param(ADD, UNITTEST.format(4), "3 != 4", id="unittest"),
        pytest.param("def add(a, b:", "", "the program: SyntaxError", id="a syntax error"),
        pytest.param("\0", "", "the program: ", id="a null byte"),
        pytest.param(ADD, "assert (", "the tests: SyntaxError", id="tests with a syntax error"),
        pytest.param("import sys\nsys.exit(0)", "assert False", "the program: SystemExit", id="exits before its tests"),
        pytest.param("import os\nos._exit(0)", "assert False", "ended the process", id="exits at once"),
        pytest.param("import os\nos.kill(os.getpid(), 9)\nimport time\ntime.sleep(30)", "", "", id="kills itself"),
        pytest.param("import ctypes\nctypes.string_at(0)", "", "Segmentation fault", id="crashes"),
        pytest.param("input()", "", "EOFError", id="wants input"),
        pytest.param("while True:\n    pass", "", "not done after 2 s", id="an endless loop"),
        pytest.param("import time\ntime.sleep(60)", "", "not done after 2 s", id="sleeps"),
        pytest.param("try:\n    while True: pass\nfinally:\n    while True: pass", "", "not done", id="holds on"),
        pytest.param("x = bytearray(20 << 30)", "", "MemoryError", id="too much memory at once"),
        pytest.param("x = []\nwhile True:\n    x.append(bytearray(64 << 20))", "", "MemoryError", id="and bit by bit"),
        pytest.param("open('a', 'wb').write(bytes(64 << 20))", "", "File too large", id="a huge file"),
        pytest.param("x = [open('/dev/null') for _ in range(1000)]", "", "Too many open files", id="many files"),
        pytest.param("def f():\n    f()\nf()", "", "RecursionError", id="recursion"),
    ],
)
def test_what_does_not(program, tests, error):
    began = time.monotonic()

    ran = run(program, tests, seconds=2, memory=512 << 20)

    assert not ran.passed
    assert error in ran.error
    assert "\n" not in ran.error
    assert time.monotonic() - began < 8


def test_humanevals_check_is_called_with_the_function():
    check = "def check(candidate):\n    assert candidate(1, 2) == {}"

    assert run(ADD, check.format(3), entry="add") == Ran(True)
    assert not run(ADD, check.format(4), entry="add").passed
    assert "KeyError: 'add'" in run("", check.format(3), entry="add").error


def test_it_is_told_no_secret(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")

    everything = "import os, sys\nseen = str(dict(os.environ)) + str(sys.path)"

    assert run(everything, "assert 'hf_secret' not in seen and '/somewhere' not in seen") == Ran(True)


@pytest.mark.skipif("--mount-proc" not in sandbox._way(), reason="this system gives no /proc of one's own")
def test_nor_can_it_look_at_the_environment_of_others():
    other = f"import os\nassert not os.path.exists('/proc/{os.getpid()}')"

    assert run(other, "assert len([name for name in os.listdir('/proc') if name.isdigit()]) < 4") == Ran(True)


@pytest.mark.skipif(not NO_NETWORK, reason="this system makes no namespaces")
def test_it_has_no_network():
    with socket.create_server(("127.0.0.1", 0)) as server:
        call = f"import socket\nsocket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 2)"
        ran = run(call)

    assert not ran.passed
    assert "Network is unreachable" in ran.error
    assert "without network" in isolation()


def test_without_namespaces_it_says_so(monkeypatch):
    monkeypatch.setattr(sandbox, "_way", lambda: ())

    assert run(ADD, "assert add(1, 2) == 3") == Ran(True)
    assert "network not cut off" in isolation()


CHILDREN = """
import subprocess, sys, time
started = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep({nap})"]) for _ in range({many})]
time.sleep({wait})
"""
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep({nap})
    os._exit(0)
time.sleep(0.2)
"""


NAP = f"300.{os.getpid()}"  # tells them from those of tests beside these


def sleepers(folder):
    lines = (" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))
    return [line for line in lines if NAP in line or str(folder) in line]


@pytest.mark.parametrize("namespaces", [True, False], ids=["with namespaces", "without"])
@pytest.mark.parametrize(
    "program, passes",
    [
        pytest.param(CHILDREN.format(many=4, wait=0, nap=NAP), True, id="children left behind"),
        pytest.param(CHILDREN.format(many=4, wait=60, nap=NAP), False, id="children, and no end"),
        pytest.param(DAEMON.format(nap=NAP), True, id="a daemon"),
    ],
)
def test_nothing_is_left_running(monkeypatch, tmp_path, namespaces, program, passes):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if not namespaces:
        monkeypatch.setattr(sandbox, "_way", lambda: ())
    elif not OWN_IDS:
        pytest.skip("this system makes no namespaces")

    assert run(program, seconds=3).passed == passes

    deadline = time.monotonic() + 5
    while sleepers(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sleepers(tmp_path) == []


def test_a_fork_bomb_is_defused():
    """Bounded, in case it isn't: 150 processes that only sleep."""
    bomb = (
        "import os, time\nfor _ in range(150):\n    if os.fork() == 0:\n        time.sleep(20)\n        os._exit(0)\n"
    )

    ran = run(bomb + "time.sleep(20)", seconds=10)

    assert not ran.passed
    assert "more than 64 processes" in ran.error or "BlockingIOError" in ran.error


def test_the_folder_is_removed(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    run("import os\nos.mkdir('a')\nopen('a/b', 'w').write('c')\nos.chmod('a', 0o500)")

    assert not list(tmp_path.iterdir())


def test_several_at_a_time():
    found = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(run(ADD, f"assert add({n}, 0) == {n % 2}"))) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [ran.passed for ran in found].count(True) == 2

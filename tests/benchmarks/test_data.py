"""`benchmarks/data.py` runs and prints its table. What it measures is no matter of tests."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parent.parent.parent / "benchmarks" / "data.py"


@pytest.mark.slow
def test_the_table_has_every_part_and_both_ratios(smollm2):
    quick = ["--examples=200", "--repetitions=1", "--threads=1", "--noisy"]
    run = subprocess.run([sys.executable, BENCHMARK, *quick], capture_output=True, text=True, check=False)

    assert run.returncode in (0, 1), run.stderr  # 1 is a target missed, as so few examples do
    assert re.match(r"1 thread, 200 examples, tokenizers [\d.]+\n", run.stdout), run.stderr
    parts = re.findall(r"^  \((.)\) .+ [\d.]+ us an example, [01] disturbed$", run.stdout, re.MULTILINE)
    assert parts == ["a", "b", "c", "d"]
    assert re.findall(r"^  b/([ac]) [\d.]+, target <= [\d.]+$", run.stdout, re.MULTILINE) == ["a", "c"]

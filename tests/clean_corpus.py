"""The clean corpus: good examples of ten shapes and domains, on which no check may have a finding.

All of it was written for these tests. Each file holds what is easily taken for a fault: a dialogue with `Robot:` lines,
a letter with `[Your name]`, documentation keys and addresses, HTML that is meant, verse without a full stop.
"""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "clean"
CORPUS: dict[str, list[dict[str, Any]]] = {
    file.stem: [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for file in sorted(FOLDER.glob("*.jsonl"))
}

"""`python -m preflight.rehearsal job.json facts.json`: what the gate starts, in a process that may die."""

import faulthandler
import json
import sys
from pathlib import Path

if __name__ == "__main__":
    faulthandler.enable()
    from preflight.rehearsal.play import first_to_go, play

    first_to_go()
    job, facts = map(Path, sys.argv[1:])
    play(json.loads(job.read_text(encoding="utf-8")), facts, job.parent)

"""Who says something that is kept: a review, an accepted run."""

import getpass
import subprocess
from pathlib import Path


def name_of_user(folder: Path) -> str:
    """The name that git signs with in a folder, or else that of the login."""
    try:
        command = ["git", "config", "user.name"]
        told = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=10, check=False)
        if name := " ".join(told.stdout.split()):
            return name
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        pass
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return "unknown"

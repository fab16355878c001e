"""What is installed: everything below `preflight/`, and nothing at the top that could shadow a user's own folders."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
MOVED = {"checks": "preflight.checks", "trainer": "preflight.trainer", "preflight": "preflight"}


def packages() -> set[str]:
    """Every folder with an `__init__.py`, under its installed name."""
    found = set()
    for top, name in MOVED.items():
        for init in (ROOT / top).rglob("__init__.py"):
            inside = init.parent.relative_to(ROOT / top).parts
            found.add(".".join((name, *inside)))
    return found


def test_every_package_is_listed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]

    assert set(listed) == packages()
    assert len(listed) > 10


def test_the_wheel_holds_one_package_with_its_data(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in MOVED:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(command, check=True, capture_output=True)

    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"preflight"}
    for wanted in (
        "report/report.html.jinja",
        "report/schema.json",
        "review/page.html.jinja",
        "checks/setup/warmup.py",
        "trainer/run.py",
        "py.typed",
    ):
        assert f"preflight/{wanted}" in names
    scripts = next(name for name in names if name.endswith("entry_points.txt"))
    text = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).read(scripts).decode()
    assert "preflight = preflight.cli:main" in text
    assert "preflight = preflight.plugin" in text

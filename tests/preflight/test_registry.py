"""Declaring, loading and describing checks."""

from pathlib import Path

import pytest

from preflight import registry
from preflight.registry import HEADINGS, SECTIONS, RegistryError, check, meta_of


def declare(**changes):
    given = {"code": "USER-001", "name": "own", "severity": "required", "section": 1, "item": "Ours", **changes}

    @check(given.pop("code"), given.pop("name"), **given)
    def ours_holds_at_all_times():
        """Ours holds.

        What it checks: This
        and that.
        Why it matters: It does.
        How to fix: Do.
        Evidence: Seen.
        """

    return ours_holds_at_all_times


def test_a_declared_function_stays_what_it_is():
    function = declare()

    assert function.__name__ == "ours_holds_at_all_times"
    assert function() is None
    assert meta_of(function).function is function
    assert meta_of(print) is None


def test_a_check_describes_itself():
    meta = meta_of(declare())

    assert meta.claim == "ours holds at all times"
    assert meta.summary == "Ours holds."
    assert tuple(meta.docs) == HEADINGS
    assert meta.docs["What it checks"] == "This\nand that."
    assert meta.path == Path(__file__)


@pytest.mark.parametrize("section, stage", [(0, "preflight"), (4, "preflight"), (5, "postflight"), (7, "postflight")])
def test_the_section_says_the_stage(section, stage):
    assert meta_of(declare(section=section)).stage == stage
    assert meta_of(declare(section=section, stage="postflight")).stage == "postflight"


def test_the_order_is_the_checklists_with_the_gate_itself_last():
    metas = [meta_of(declare(section=section, code=f"USER-{n:03}")) for section in SECTIONS for n in (2, 1)]

    ordered = sorted(metas, key=lambda meta: meta.order)

    assert [meta.section for meta in ordered[::2]] == [1, 2, 3, 4, 5, 6, 7, 0]
    assert [meta.code for meta in ordered[:2]] == ["USER-001", "USER-002"]


@pytest.mark.parametrize("code", ["USER-1", "user-001", "USER-0001", "XYZ-001", "USER-001 ", "USER-٠٠١", ""])
def test_a_code_that_is_none(code):
    with pytest.raises(RegistryError, match="is not a code"):
        declare(code=code)


@pytest.mark.parametrize("name", ["", "Own", "own check", "own_check", "-own", "own--check", "own\n"])
def test_a_name_that_is_none(name):
    with pytest.raises(RegistryError, match="is not a name"):
        declare(name=name)


def test_only_what_a_file_defines_itself_is_its_own(tmp_path):
    """A check that is imported belongs to the file it comes from."""
    text = "from preflight.checks.setup.learning_rate import the_learning_rate_is_in_range\n"
    (tmp_path / "own.py").write_text(text)

    assert registry.checks_in(registry.load_file(tmp_path / "own.py")) == []


def test_a_file_is_imported_once(tmp_path):
    (tmp_path / "own.py").write_text("import itertools\nvalue = object()\n")

    assert registry.load_file(tmp_path / "own.py").value is registry.load_file(tmp_path / "own.py").value


def test_a_file_that_fails_can_be_tried_again(tmp_path):
    (tmp_path / "own.py").write_text("1 / 0\n")
    with pytest.raises(RegistryError, match="ZeroDivisionError"):
        registry.load_file(tmp_path / "own.py")

    (tmp_path / "own.py").write_text("value = 12\n")
    assert registry.load_file(tmp_path / "own.py").value == 12


def test_files_below_a_folder_are_found_once(tmp_path):
    (tmp_path / "below").mkdir()
    for name in ("b.py", "a.py", "conftest.py", "notes.txt", "below/c.py"):
        (tmp_path / name).touch()

    found = registry.user_files([tmp_path, tmp_path / "a.py"])

    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a.py", "b.py", "below/c.py"]


def test_an_interrupt_while_loading_is_an_interrupt(tmp_path):
    (tmp_path / "own.py").write_text("raise KeyboardInterrupt\n")

    with pytest.raises(KeyboardInterrupt):
        registry.load_file(tmp_path / "own.py")


def test_what_asks_for_the_machine_is_judged_again_on_it_unless_it_says_otherwise():
    def of(fixture, **given):
        source = f"def it_holds_on_this({fixture}):\n    '''It holds.'''"
        scope = {}
        exec(source, scope)  # a function with a parameter of that name
        return meta_of(
            check("USER-001", "own", severity="advice", section=2, item="Ours", **given)(scope["it_holds_on_this"])
        )

    assert [of(name).machine for name in ("target", "strategy", "memory", "config")] == [True, True, True, False]
    assert of("config", machine=True).machine
    assert not of("target", machine=False).machine

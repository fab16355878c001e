"""The terminal: one line a check, grouped by the checklist's sections, then what was found, then the verdict."""

import os
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.terminal import TerminalReporter

from preflight.registry import SECTIONS
from preflight.verdict import Result

if TYPE_CHECKING:
    from preflight.session import Gate

MARKS = {
    "passed": ("✓", "ok", {"green": True}),
    "failed": ("✗", "FAIL", {"red": True, "bold": True}),
    "warned": ("!", "warn", {"yellow": True}),
    "waived": ("~", "waived", {"yellow": True}),
    "not-applicable": ("-", "n/a", {"light": True}),
    "not-available": ("?", "can't tell", {"red": True}),
    "not-run": (" ", "not run", {"light": True}),
    "error": ("✗", "BROKEN", {"red": True, "bold": True}),
}
COLOURS = {"green": {"green": True}, "red": {"red": True}, "partial": {"yellow": True}}
MAX_SHOWN = 5  # findings of one check on the screen; the report has all


def install(pytest_config: pytest.Config, gate: "Gate") -> None:
    """Put the checklist's reporter in the place of pytest's own."""
    manager = pytest_config.pluginmanager
    standard = manager.get_plugin("terminalreporter")
    if standard is None:  # -p no:terminal
        return
    manager.unregister(standard)
    manager.register(ChecklistReporter(pytest_config, gate), "terminalreporter")


class ChecklistReporter(TerminalReporter):
    """pytest's reporter with the checklist's own lines; ordinary tests in the same run look as they always do."""

    def __init__(self, pytest_config: pytest.Config, gate: "Gate") -> None:
        super().__init__(pytest_config)
        self.gate = gate
        self.section: int | None = None
        self.ascii = not _takes(self._tw, "✓✗…")
        self.parallel = bool(getattr(pytest_config.option, "numprocesses", None))

    # --- while it runs ----------------------------------------------------------------------------------------------

    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        if not nodeid.startswith("checks/"):
            super().pytest_runtest_logstart(nodeid, location)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        if not nodeid.startswith("checks/"):
            super().pytest_runtest_logfinish(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found: dict[str, Any] | None = getattr(report, "preflight", None)
        if found is None:
            if not report.nodeid.startswith("checks/"):
                super().pytest_runtest_logreport(report)
            return
        self._tests_ran = True
        self.stats.setdefault(report.outcome, []).append(report)
        if self.verbosity >= 0:
            self.line_of(Result(**found))

    def line_of(self, result: Result) -> None:
        """`✓ DATA-101 consistent-format    640 rows, all messages    0.01s`, within the screen's width."""
        meta = self.gate.checks[result.code]
        if meta.section != self.section and not self.parallel:
            self.section = meta.section
            self._tw.line()
            self._tw.line(f"{meta.section} {SECTIONS[meta.section]}" if meta.section else SECTIONS[0], bold=True)
        glyph, word, markup = MARKS[result.outcome]
        said = result.reason if result.outcome in ("not-applicable", "not-available", "error") else result.summary
        said = said or (result.findings[0]["message"] if result.findings else "")
        name = f"{meta.code} {meta.name}"
        time = f"{result.seconds:5.1f}s" if result.seconds >= 0.05 else ""
        room = max(self._tw.fullwidth - 46 - len(time), 20)
        self._tw.write(f"  {word if self.ascii else glyph:{10 if self.ascii else 1}} ", **markup)
        self._tw.line(f"{name:38}  {_cut(said, room, self.ascii):{room}}{time}".rstrip())

    # --- the end ----------------------------------------------------------------------------------------------------

    def summary_failures(self) -> None:
        """What blocks, then what warns: where, why, and the fix."""
        if self.gate.report is None:
            return
        checks = self.gate.report["checks"]
        blocking = [c for c in checks if Result(c["code"], c["severity"], c["outcome"]).blocks]
        self._findings("blocks", blocking)
        self._findings("warnings", [c for c in checks if c["outcome"] == "warned"])
        self._findings("waived", [c for c in checks if c["outcome"] == "waived"])
        self._tracebacks()

    def _findings(self, title: str, checks: list[dict[str, Any]]) -> None:
        if not checks:
            return
        self._tw.line()
        self._tw.sep("-", title, bold=True)
        for check in checks:
            glyph, word, markup = MARKS[check["outcome"]]
            self._tw.write(f"{word if self.ascii else glyph} {check['code']} {check['name']}", **markup)
            self._tw.line(f"  {check['reason']}" if check["reason"] else "")
            for finding in check["findings"][:MAX_SHOWN]:
                self._finding(finding)
            if (more := len(check["findings"]) - MAX_SHOWN) > 0:
                self._tw.line(f"  … and {more} more in the report")

    def _finding(self, finding: dict[str, str]) -> None:
        place = f"{finding['where']}: " if "where" in finding else ""
        self._tw.line(safe(f"  {place}{finding['message']}"))
        if "observed" in finding or "expected" in finding:
            pairs = (f"{key} {finding[key]}" for key in ("observed", "expected") if key in finding)
            self._tw.line(safe(f"    {', '.join(pairs)}"))
        for key in ("why", "fix"):
            if key in finding:
                self._tw.line(safe(f"    {key}: {finding[key]}"), **({"bold": True} if key == "fix" else {}))

    def _tracebacks(self) -> None:
        """A broken check is our bug: show where."""
        for report in self.stats.get("failed", []):
            if getattr(report, "preflight", {}).get("outcome") == "error":
                self._tw.line()
                self._tw.sep("-", f"{report.preflight['code']} is broken; please report this", red=True)
                report.toterminal(self._tw)

    def summary_errors(self) -> None:
        """Part of `summary_failures`."""

    def summary_warnings(self) -> None:
        """Deprecations inside the libraries are nothing the user can act on; `-v` shows them."""
        if self.verbosity > 0:
            super().summary_warnings()

    def short_test_summary(self) -> None:
        """pytest's list of failed node ids would only repeat the findings."""

    def summary_stats(self) -> None:
        """The footer: the verdict, why, and what to do next."""
        report = self.gate.report
        if report is None:
            super().summary_stats()
            return
        colour = COLOURS[report["verdict"]]
        tally = ", ".join(f"{count} {outcome}" for outcome, count in report["counts"].items() if count)
        self._tw.line()
        self._tw.sep("=", f"{report['verdict'].upper()} in {report['seconds']:.1f}s", bold=True, **colour)
        self._tw.line(f"{tally}")
        if report["verdict"] == "partial":
            self._tw.line(f"partial run, no clearance: {report['why']}")
        elif report["verdict"] == "red":
            self._tw.line(f"no clearance: {report['why']}")
        else:
            self._tw.line(f"cleared: {os.path.relpath(self.gate.folder / 'clearance.json')}")
        self._tw.line(f"report:  {os.path.relpath(self.gate.folder / 'report.html')}")
        self._tw.line(f"next:    {report['next']}")

    def _printcollecteditems(self, items: Any) -> None:
        """`--co`: the checklist as claims."""
        section = None
        for item in items:
            meta = getattr(item, "check", None)
            if meta is None:
                self._tw.line(item.nodeid)
                continue
            if meta.section != section and self.verbosity >= 0:
                section = meta.section
                self._tw.line(f"{section} {SECTIONS[section]}", bold=True)
            severity = self.gate.severities[meta.code]
            self._tw.line(f"  {meta.code}  {meta.claim}  ({severity})")


def safe(text: str) -> str:
    """Text of the user's data with control characters made visible: a terminal must not obey a dataset."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def _cut(text: str, width: int, ascii_only: bool) -> str:
    line = safe(" ".join(text.split()))
    end = "..." if ascii_only else "…"
    return line if len(line) <= width else line[: width - len(end)] + end


def _takes(writer: Any, text: str) -> bool:
    encoding = getattr(getattr(writer, "_file", None), "encoding", None) or "ascii"
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True

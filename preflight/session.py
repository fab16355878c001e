"""The hooks of a gate run: inject the checklist, tag its items, make results of reports and a verdict of results."""

import os
import time
import warnings
from collections.abc import Generator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from preflight import clearance, collect, fixtures, registry, subjects, verdict
from preflight.config import Config, ConfigError, load_config
from preflight.evaluation import fixtures as evaluation
from preflight.judging import findings_of, outcome_of
from preflight.keys import CONFIG, EVIDENCE, GATE, SETUP
from preflight.registry import Check, RegistryError, Stage
from preflight.report import document, html, terminal
from preflight.verdict import Result
from preflight.waivers import WAIVER_CHECK, Waivers, judge_gate_section

FIXTURES = {name: module for module in (fixtures, evaluation) for name in module.NAMES}


def register(pytest_config: pytest.Config) -> None:
    """Read the config, load the checklist and hook the gate in.

    Raises:
        pytest.UsageError: exit status 4; the config can't be read (with every error), or a check can't be loaded.
    """
    option = pytest_config.option
    if option.preflight and option.postflight:
        raise pytest.UsageError("give --preflight or --postflight, not both: a model is judged after its run")
    stage: Stage = "preflight" if option.preflight else "postflight"
    try:
        config = load_config(option.preflight or option.postflight)
        if option.preflight_machine:
            config = config.on_this_machine()
        if option.preflight_output:
            config = config.with_artefacts(Path(option.preflight_output).absolute())
        own = [config.resolve(path) for path in config.gate.checks]
        checks = registry.load(own)
    except (ConfigError, RegistryError) as error:
        raise pytest.UsageError(str(error)) from error
    if problems := judge_gate_section(config, checks):
        raise pytest.UsageError("\n".join(problems))

    pytest_config.addinivalue_line("markers", "preflight(code, name, severity, section): a check of the checklist")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")  # the gate forks nothing after it tokenised
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # older 1.x releases of Great Expectations phone home

    folders = [str(registry.package_folder()), *map(str, own)]
    if pytest_config.args_source is pytest.Config.ArgsSource.ARGS:
        pytest_config.args[:0] = folders
    else:
        pytest_config.args[:] = folders

    asked = {c: m for c, m in checks.items() if m.stage == stage and (m.machine or not option.preflight_machine)}
    gate = Gate(pytest_config, config, stage, asked, own)
    pytest_config.stash[CONFIG] = config
    pytest_config.stash[GATE] = gate
    for module in (fixtures, evaluation):
        pytest_config.pluginmanager.register(module, module.__name__)
    pytest_config.pluginmanager.register(gate, "preflight.gate")
    if gate.is_controller and not option.collectonly:
        gate.open_artefacts()
    if gate.is_controller:
        terminal.install(pytest_config, gate)


class Gate:
    """One gate run. A plugin object, because pytest's hooks share its state."""

    def __init__(
        self, pytest_config: pytest.Config, config: Config, stage: Stage, checks: Mapping[str, Check], own: list[Path]
    ) -> None:
        self.pytest_config = pytest_config
        self.config = config
        self.stage = stage
        self.checks = checks
        self.own = own
        self.shipped = registry.package_folder()
        self.strict: bool = pytest_config.option.preflight_strict
        self.on_machine: bool = pytest_config.option.preflight_machine  # the trainer asks; nothing is sealed or undone
        self.severities = {
            code: verdict.in_force(code, meta.severity, config.gate.severity, strict=self.strict)
            for code, meta in checks.items()
        }
        self.waivers = Waivers.of(config, checks)
        self.ran: list[Result] = []
        self.crashed = False
        self.seen = subjects.stamps(config, stage)
        self.started = datetime.now(UTC)
        self.clock = time.perf_counter()
        self.report: dict[str, Any] | None = None

    @property
    def is_controller(self) -> bool:
        return not hasattr(self.pytest_config, "workerinput")

    @property
    def folder(self) -> Path:
        return self.config.artefacts(self.stage) / ("machine" if self.on_machine else "")

    def drop_clearance(self) -> None:
        """What isn't green has none."""
        if not self.on_machine:
            clearance.path(self.config, self.stage).unlink(missing_ok=True)

    def open_artefacts(self) -> None:
        """Make the folder and drop the last clearance: a run that is cut off must leave none.

        Raises:
            pytest.UsageError: the folder can't be written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.drop_clearance()
            for name in document.DRAWN:
                (self.folder / name).unlink(missing_ok=True)
            probe = self.folder / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            moved = self.pytest_config.option.preflight_output
            place = (
                "--preflight-output" if moved else f"{self.config.where('training.output_dir')}: training.output_dir"
            )
            raise pytest.UsageError(
                f"{place}: can't write to {self.folder}: {error.strerror}. "
                "Name a folder that you may write to; --preflight-output DIR moves the gate's own files alone."
            ) from error

    # --- collection -------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Our folders as plain ones: pytest would import their `__init__.py` under a name that a user's may have."""
        return pytest.Dir.from_parent(parent, path=path) if path.is_relative_to(self.shipped) else None

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
        """A file of checks is collected by us alone, also where pytest itself would take it for a file of tests."""
        others = yield
        if not any(file_path.is_relative_to(path) for path in (self.shipped, *self.own)):
            return others
        python = file_path.suffix == ".py" and file_path.name != "conftest.py"
        return [collect.check_file(parent, file_path, self.shipped)] if python else []

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, collector: pytest.Collector, name: str, obj: Any) -> pytest.Item | None:
        if not isinstance(collector, collect.CheckFile):
            return None
        return collect.make_item(collector, name, obj, self.checks)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        ours = [item for item in items if isinstance(item, collect.CheckItem)]
        others = [item for item in items if not isinstance(item, collect.CheckItem)]
        items[:] = sorted(ours, key=lambda item: item.check.order) + others

    # --- one check --------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Refuse a fixture that takes the place of ours: a root conftest could turn a failure into a pass."""
        if isinstance(item, collect.CheckItem) and (names := [*collect.shadowed(item, FIXTURES)]):
            raise RuntimeError(f"fixtures take the place of preflight's own: {', '.join(names)}; rename them")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if not isinstance(item, collect.CheckItem):
            return report
        if call.when == "setup":
            item.stash[SETUP] = call.duration  # the first check that needs a fixture has it built
        if call.when == "call" or call.excinfo is not None:
            report.preflight = fixtures.plain(asdict(self.judge(item, call)))  # type: ignore[attr-defined]
            result = result_of(report.preflight)
            apply(report, result)
            labels = {"code": result.code, "name": item.check.name, "severity": result.severity}
            properties = {**result.evidence, **labels, "outcome": result.outcome}
            item.user_properties[:] = report.user_properties = list(fixtures.plain(properties).items())
        return report

    def judge(self, item: collect.CheckItem, call: pytest.CallInfo[None]) -> Result:
        """The result of one phase of one check, from what it raised."""
        code, severity = item.check.code, self.severities[item.check.code]
        error = call.excinfo.value if call.excinfo else None
        found = findings_of(item.check, error if call.when == "call" else None)
        outcome, reason = outcome_of(error, found, severity, self.waivers.get(code))
        summary, evidence = item.stash.get(EVIDENCE, ("", {}))
        seconds = call.duration + (item.stash.get(SETUP, 0.0) if call.when == "call" else 0.0)
        findings = tuple(finding.as_dict() for finding in found)
        return Result(code, severity, outcome, reason, summary, evidence, findings, seconds)

    # --- the end ----------------------------------------------------------------------------------------------------

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = getattr(report, "preflight", None)
        if found is not None and self.is_controller:
            self.ran.append(result_of(found))

    def pytest_internalerror(self) -> None:
        """Remember it: with xdist, a worker's internal error ends a run with exit status 0."""
        self.crashed = True

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if not self.is_controller or self.pytest_config.option.collectonly:
            return
        with warnings.catch_warnings():  # a user's `-W error` must not break the end either
            warnings.simplefilter("ignore")
            try:
                self.finish(session, pytest.ExitCode.INTERNAL_ERROR if self.crashed else exitstatus)
            except BaseException:
                self.drop_clearance()
                raise

    def finish(self, session: pytest.Session, exitstatus: int) -> None:
        """Decide, seal what is green, and write the reports."""
        results = verdict.complete(self.severities, self.ran)
        verdict.add_unused_waivers(results, self.waivers.places, WAIVER_CHECK)
        decision, why = verdict.decide(results, exit_status=int(exitstatus))
        sealed = decision == "green" and not self.on_machine
        if sealed:
            try:
                clearance.write(self.config, self.stage, results, seen=self.seen)
            except clearance.Refused as error:
                sealed, decision, why = False, "red", str(error)
        if decision == "red" and session.exitstatus in (0, 5):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self.report = document.build(
            self.config,
            stage=self.stage,
            verdict=decision,
            why=why,
            sealed=sealed,
            checks=self.checks,
            results=results,
            started=self.started,
            seconds=time.perf_counter() - self.clock,
        )
        document.write(self.report, self.folder / "report.json")
        html.write_html(self.report, self.folder / "report.html")


def result_of(values: Mapping[str, Any]) -> Result:
    """A result back from the plain values that a report carries."""
    return Result(**{**values, "findings": tuple(values["findings"])})


def apply(report: pytest.TestReport, result: Result) -> None:
    """Make pytest's own report say what the outcome means: only what blocks is a failure, in JUnit too."""
    lines = [f"{result.code}: {result.reason}"] if result.reason else []
    for finding in result.findings:
        lines += [finding["message"] if "where" not in finding else f"{finding['where']}: {finding['message']}"]
        lines += [f"  fix: {finding['fix']}"] if "fix" in finding else []
    text = "\n".join(lines)
    vars(report).pop("wasxfail", None)  # a check is not excused by pytest's marks, only by a waiver
    if result.outcome == "error":
        report.outcome = "failed"  # pytest's own longrepr, with the traceback, stays: this one is our bug
        report.longrepr = text if isinstance(report.longrepr, tuple) else report.longrepr
    elif result.blocks:
        report.outcome, report.longrepr = "failed", text
    elif result.outcome in ("passed", "warned"):
        report.outcome, report.longrepr = "passed", None
    elif result.outcome == "waived":
        report.outcome, report.longrepr = "skipped", text
        report.wasxfail = result.reason
    else:
        where = (str(report.location[0]), report.location[1] or 0, result.reason)
        report.outcome, report.longrepr = "skipped", where

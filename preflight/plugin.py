"""The pytest entry point: options, and a conditional register.

It is imported by every pytest run in the environment, so nothing heavy may be imported here: the hooks that do the work
live in `preflight.session`, which is imported only when `--preflight` or `--postflight` was given.
"""

import argparse

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("preflight", "the gate before an LLM fine-tune")
    group.addoption("--preflight", metavar="CONFIG", help="Judge the run that CONFIG describes, before it starts.")
    group.addoption("--postflight", metavar="CONFIG", help="Judge the model that the run of CONFIG produced.")
    group.addoption("--preflight-strict", action="store_true", help="Recommended checks block too.")
    group.addoption("--preflight-output", metavar="DIR", help="Write report and clearance to DIR.")
    # The trainer's own question: does this machine pass what depends on the machine?
    group.addoption("--preflight-machine", action="store_true", help=argparse.SUPPRESS)


@pytest.hookimpl(trylast=True)  # pytest's own terminal reporter must be there, for the gate to take its place
def pytest_configure(config: pytest.Config) -> None:
    if config.option.preflight is None and config.option.postflight is None:
        return
    from preflight.session import register

    register(config)


def pytest_report_header(config: pytest.Config) -> str | None:
    path = config.option.preflight or config.option.postflight
    return f"preflight: {path}" if path else None

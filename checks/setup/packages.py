from importlib import metadata

from packaging.requirements import Requirement

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.machine import BOUND, OWN, versions


@check("ENV-101", "packages", severity="required", section=4, item="Dependencies installed", machine=True)
def the_installed_packages_are_versions_that_work(config: Config, evidence: Evidence) -> None:
    """The packages that train are installed, in versions that preflight knows.

    What it checks: torch, transformers, peft, trl, accelerate, tokenizers and datasets, and bitsandbytes when the
    config quantizes or takes one of its optimizers, against the ranges that this release of preflight declares.
    Why it matters: These libraries rename settings and change defaults between releases; the config is judged by what
    is installed, and a combination nobody has tried fails late.
    How to fix: Run the pip command in the finding.
    Evidence: TRL 1.16 and transformers 5 renamed `max_seq_length`, `evaluation_strategy` and `warmup_ratio`.
    """
    installed = versions()
    shown = ("torch", "transformers", "peft", "trl")
    evidence(", ".join(f"{name} {installed.get(name, 'missing')}" for name in shown), **installed)
    findings = []
    for text in metadata.requires(OWN) or ():
        wanted = Requirement(text)
        optional = wanted.marker is not None and not wanted.marker.evaluate({"extra": ""})
        quantizer = wanted.name == "bitsandbytes" and _asks_for_bitsandbytes(config)
        if wanted.name not in BOUND or (optional and not quantizer):
            continue
        have = installed.get(wanted.name)
        if have is None or not wanted.specifier.contains(have, prereleases=True):
            findings.append(
                Finding(
                    f"{wanted.name} is {'not installed' if have is None else f'version {have}'}",
                    observed=have or "not installed",
                    expected=str(wanted.specifier),
                    why="The config is judged by the installed libraries, and this combination is not known to work.",
                    fix=f"pip install '{wanted.name}{wanted.specifier}'",
                )
            )
    report_findings(findings)


def _asks_for_bitsandbytes(config: Config) -> bool:
    optimizer = str(config.training_value("optim"))
    return config.quantization is not None or "8bit" in optimizer or "bnb" in optimizer or optimizer.startswith("paged")

from collections.abc import Callable
from typing import NamedTuple

from packaging.specifiers import SpecifierSet

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.machine import versions
from preflight.strategy import Strategy, fsdp_config


class Known(NamedTuple):
    """A version that is known to go wrong for some runs.

    Attributes:
        package: Its name.
        bad: The versions.
        concerns: Whether a run is one of those.
        why: What goes wrong.
        fix: What to install or set.
        source: Where it was found.
    """

    package: str
    bad: str
    concerns: Callable[[Config, Strategy], bool]
    why: str
    fix: str
    source: str


def _fsdp2_adapter(config: Config, strategy: Strategy) -> bool:
    return strategy.kind == "fsdp" and config.lora is not None and str(fsdp_config(config).get("version", 2)) == "2"


KNOWN = (
    Known(
        "accelerate",
        "<1.15",
        _fsdp2_adapter,
        "Under FSDP2 a checkpoint holds the first process's slice of the adapter only; resuming loses the rest.",
        "pip install 'accelerate>=1.15'",
        "huggingface/accelerate#4206",
    ),
)


@check("ENV-114", "known-versions", severity="required", section=4, item="Dependencies installed")
def no_installed_version_is_known_to_go_wrong(config: Config, strategy: Strategy, evidence: Evidence) -> None:
    """No installed version is known to go wrong for a run like this.

    What it checks: A list of versions with what they break, and for which runs: accelerate before 1.15 with an adapter
    under FSDP2.
    Why it matters: These faults make no error while the run goes on.
    How to fix: Run the pip command in the finding.
    Evidence: huggingface/accelerate#4206, which accelerate 1.15 has the fix of.
    """
    installed = versions()
    concerned = [known for known in KNOWN if known.concerns(config, strategy)]
    evidence(f"{len(concerned)} of {len(KNOWN)} concern this run", concern=[known.source for known in concerned])
    report_findings(
        [
            Finding(
                f"{known.package} {installed[known.package]} is known to go wrong here",
                observed=installed[known.package],
                expected=f"not {known.bad}",
                why=known.why,
                fix=f"{known.fix} ({known.source})",
            )
            for known in concerned
            if known.package in installed
            and SpecifierSet(known.bad).contains(installed[known.package], prereleases=True)
        ]
    )

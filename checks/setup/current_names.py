from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.findings import counted
from preflight.fixtures import Evidence


@check(
    "CFG-111", "current-names", severity="advice", section=4, item="Dependencies installed: settings by present names"
)
def the_config_uses_present_names(config: Config, evidence: Evidence) -> None:
    """Every setting goes by the name that the installed libraries have for it.

    What it checks: Names that were accepted in the place of present ones: `max_seq_length` for `max_length`,
    `warmup_ratio` for `warmup_steps`, `evaluation_strategy` for `eval_strategy` and the like.
    Why it matters: The run is the same, but whoever copies the setting into a script of their own gets an error, and
    what the documentation says about the present name is not found.
    How to fix: Write the name in the finding, with the value it gives.
    Evidence: TRL 1.16 and transformers 5 renamed a dozen settings that published recipes still use.
    """
    evidence(f"{counted(len(config.renamed), 'old name')} accepted" if config.renamed else "all present")
    report_findings(
        Finding(
            f"{notice.key} {notice.message}",
            where=f"{config.path.name}:{notice.line}",
            fix=f"{notice.hint}." if notice.hint else "Write the present name; the value stays.",
        )
        for notice in config.renamed
    )

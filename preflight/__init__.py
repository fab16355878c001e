"""preflight: the gate before an LLM fine-tune.

What a check needs is importable from here: `check` declares one, `Finding` and `report_findings` say what is wrong,
`not_applicable` and `not_available` say why nothing could be judged.
"""

from preflight.findings import Finding, not_applicable, not_available, report_findings
from preflight.registry import check

__version__ = "0.1.0"
__all__ = ["Finding", "check", "not_applicable", "not_available", "report_findings"]

from typing import Any

from preflight import check, report_findings
from preflight.data.hygiene import Hygiene
from preflight.fixtures import Evidence


@check(
    "DATA-134",
    "no-secrets",
    severity="recommended",
    section=1,
    item="Quality review: manually reviewed 50-100 random samples",
    thresholds={"max_fraction": 0.0},
)
def no_row_holds_a_key_or_token(hygiene: Hygiene, evidence: Evidence, limits: Any) -> None:
    """No row holds a secret key or token.

    What it checks: Keys, tokens and private keys whose form only a real one has, by the rules of high confidence of
    MongoDB's Kingfisher; nothing is guessed by how random a text looks, and nothing is sent anywhere. Dummies of
    manuals (`sk-XXXX`, `AKIAIOSFODNN7EXAMPLE`) are left out, and so are JSON web tokens, which stand in every tutorial
    and are void after hours. What is found is shown masked.
    Why it matters: The model tells it to whoever asks, and it can't be taken out again. It is recommended and not
    required, since whether a key still opens anything can't be seen here, and the run itself learns as well with it.
    How to fix: Revoke the key at its provider first, whatever happens to the data. Then replace it with a dummy. With
    data of your own systems make the check required: `gate.severity: {DATA-134: required}`.
    Evidence: ramimac/aws-customer-security-incidents#241 (thousands of live keys in crawled training data). Threshold:
    none are allowed.
    """
    summary, seen = hygiene.evidence("secret", "with a secret")
    evidence(summary, **seen)
    if hygiene.exceeds(limits.max_fraction, "secret", least=1):
        kinds = ", ".join(hygiene.varieties["secret"])
        report_findings(
            [
                hygiene.finding(
                    "secret",
                    message=f"hold a secret: {kinds}",
                    expected="none",
                    why="The model tells it to whoever asks.",
                    fix="Revoke the keys at their provider, then replace them in {rows} with dummies.",
                )
            ]
        )

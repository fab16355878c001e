"""DATA-134: no row holds a secret key or token."""

from tests.conftest import chat

CODE = "DATA-134"

SECRET = "ghp" + "_" + "w7Kx2mQz9LrTb4VnEy8GdHs1JpFc6UaXo3Ri"  # in two parts, so that nobody takes it for a leaked one


def test_a_secret_is_found_and_masked(project):
    project.rows([chat(1), chat(2, answer=f"Use the token {SECRET} for it."), chat(3)])
    run = project.gate("-k", CODE)
    (finding,) = run.findings(CODE)

    assert run.outcome(CODE) == "warned"
    assert finding["message"] == "1 of 3 rows hold a secret: github-pat (33.3%)"
    assert finding["where"] == "train.jsonl:2"
    assert finding["observed"] == "ghp_… (40 characters)"
    assert SECRET[4:] not in run.screen + str(run.check(CODE))


def test_dummies_pass(project, expect):
    dummies = ("Use AKIAIOSFODNN7EXAMPLE.", "export KEY=sk-XXXXXXXXXXXXXXXXXXXXXXXX", "ghp_...")
    project.rows([chat(number, answer=dummy) for number, dummy in enumerate(dummies)])

    assert expect(CODE, "passed") == []

"""DATA-126: answers in prose hold no residue of HTML."""

import pytest

from tests.conftest import chat

CODE = "DATA-126"


def rows(*answers):
    return [chat(number, answer=answer) for number, answer in enumerate(answers)] + [chat(n) for n in range(50, 80)]


def test_residue_is_found(project, expect):
    project.rows(rows("Dry it.<br>Then oil it.", "Dry it &amp; oil it.", r"Do this:\n1. Dry it.\n2. Oil it."))
    (finding,) = expect(CODE, "warned")

    assert finding["message"] == "3 of 33 rows hold residue of markup in prose (9.1%)"
    assert "<br>" in finding["observed"]
    assert "&amp;" in finding["observed"]


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(["Dry it.<br>Then oil it."], id="one row"),
        pytest.param(["```html\n<br>\n```", "Use the <br> tag.", "if a < b and c > d"], id="code and comparisons"),
    ],
)
def test_what_may_be_there_passes(project, expect, answers):
    project.rows(rows(*answers))

    assert expect(CODE, "passed") == []

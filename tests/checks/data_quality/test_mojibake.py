"""DATA-125: no text was decoded in the wrong encoding."""

from tests.conftest import chat

CODE = "DATA-125"


def test_one_broken_text_is_found(project, expect):
    project.rows([chat(1), chat(2, answer="Das ist sch\u00c3\u00b6n."), chat(3)])
    (finding,) = expect(CODE, "warned")

    assert finding["message"] == "1 of 3 rows were decoded in the wrong encoding (33.3%)"
    assert finding["where"] == "train.jsonl:2"
    assert finding["observed"] == "sch\u00c3\u00b6n. (for schön.)"


def test_letters_of_any_language_pass(project, expect):
    answers = ("Déjà vu à la « fête » 🎉 größer ½ €", "Привет, СССР", "关闭灯具，让它冷却", "Tắt đèn, ĐÀ NẴNG")
    project.rows([chat(number, answer=answer) for number, answer in enumerate(answers)])

    assert expect(CODE, "passed") == []

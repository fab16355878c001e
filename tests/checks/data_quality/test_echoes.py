"""DATA-122: answers don't begin with the whole prompt."""

from tests.conftest import chat

CODE = "DATA-122"


def rows(count, echoes):
    data = [chat(number) for number in range(count)]
    for row in data[:echoes]:
        asked, answer = row["messages"]
        asked["content"] = f"Tell me in one or two sentences. {asked['content']}"
        answer["content"] = f"{asked['content']}\n\n{answer['content']}"
    return data


def test_echoes_are_found(project, expect):
    project.rows(rows(100, 4))
    (finding,) = expect(CODE, "warned")

    assert finding["message"] == "4 of 100 rows have an answer that begins with the whole prompt (4.0%)"
    assert finding["observed"].startswith("Tell me in one or two sentences. How do I ")
    assert finding["fix"] == "Cut the prompt off the answers of these 4 rows."


def test_two_of_many_pass(project, expect):
    project.rows(rows(100, 2))

    assert expect(CODE, "passed") == []

"""Residue of earlier steps: placeholders, broken encoding, markup."""

import pytest
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    "answer, variety",
    [
        ("Hello! I am {{name}}, developed by {{author}}.", "{{ }}"),
        ("Dear {{ customer.first_name }}, thank you.", "{{ }}"),
        ("The capital of Norway is [INSERT CITY HERE].", "[INSERT]"),
        ("It was founded in [Insert year].", "[INSERT]"),
        ("My name is <YOUR NAME> and I live here.", "[INSERT]"),
        ("Lorem ipsum dolor sit amet, consectetur.", "lorem ipsum"),
        ("TODO: write this answer", "nothing else"),
        ("[TBD]", "nothing else"),
        ("nan", "nothing else"),
        ("{response}", "nothing else"),
        ("[object Object]", "nothing else"),
    ],
)
def test_placeholders_are_found(varieties, answer, variety):
    assert varieties("placeholder", answer) == {variety}


@pytest.mark.parametrize(
    "answer, question",
    [
        pytest.param("Use `{{ title }}` there.", "How do I show it?", id="a span of code"),
        pytest.param("```\nHello {{ name }}\n```", "How do I show it?", id="a block of code"),
        pytest.param("Write {{ message }} into it.", "How does Vue show a message?", id="a question about templates"),
        pytest.param("{% if name %}{{ name }}{% endif %}", "What now?", id="Jinja"),
        pytest.param(r"It is $\frac{{a}}{{b}}$ and $\sqrt{{x}}$.", "What is it?", id="LaTeX"),
        pytest.param("run: ${{ secrets.TOKEN }}", "What is it?", id="a workflow"),
        pytest.param("Dear [Insert name],\n\nThank you.", "Write a letter of thanks.", id="a letter with blanks"),
        pytest.param("Yours sincerely,\n[Your name]", "Thank my landlord.", id="a signature"),
        pytest.param("Lorem ipsum dolor sit amet.", "Give me dummy text.", id="dummy text that is asked for"),
        pytest.param("TODO lists help when you have much to do, and little time for all of it: write them at night.",
                     "How do I plan?", id="a text about TODO lists"),
        pytest.param("NaN", "What is 0 / 0 in JavaScript?", id="a value of a language"),
        pytest.param("The set {x} has one element.", "What is it?", id="mathematics"),
        pytest.param("None", "Which of these?", id="a word"),
    ],
)  # fmt: skip
def test_what_only_looks_like_a_placeholder_is_not_found(varieties, answer, question):
    assert varieties("placeholder", answer, question) == set()


@pytest.mark.parametrize(
    "text, variety",
    [
        ("Das ist sch\u00c3\u00b6n und gr\u00c3\u00bcn.", "mojibake"),
        ("It\u00e2\u20ac\u2122s a caf\u00c3\u00a9.", "mojibake"),
        ("РџСЂРёРІРµС‚, как дела?", "mojibake"),
        ("A letter is los\ufffd here.", "U+FFFD"),
        ("\ufeffIt begins with a mark.", "U+FEFF"),
    ],
)
def test_broken_encodings_are_found_in_answer_and_question(varieties, text, variety):
    assert varieties("mojibake", text) == {variety}
    assert varieties("mojibake", "It is.", text) == {variety}


def test_the_excerpt_shows_what_the_text_should_be(look):
    rows = [{"prompt": "Wie?", "completion": "Das ist sehr sch\u00c3\u00b6n."}]

    assert look(rows).hits("mojibake")[0].text == "sch\u00c3\u00b6n. (for schön.)"


GOOD = (
    "Ça va très bien, « merci » : déjà vu, à bientôt, œuvre, naïve, l’été, 25 °C, ½, ±5 %, Ö, ÄÖÜß",
    "Mäßig heiß, größer, Übermaß, Œuvre — „Zitat“, ‚einfach‘, § 5, 20 €, ™ und ®",
    "Tắt đèn và để nguội mười phút trước khi thay bóng đèn. ĐÀ NẴNG, Ã, Â, Ă",
    "СССР, США, РСФСР и ГОСТ. Привет, как дела? Рост, Сон, Рим. ЁЖИК",
    "关闭灯具，让它冷却十分钟，然后再更换灯泡。「引用」",
    "おいしいご飯の炊き方を教えてください。ｶﾀｶﾅ",
    "أطفئ المصباح، واتركه يبرد. שלום עולם",
    "Party 🎉👩‍👩‍👧🏽 👍🏿 ❤️ 😀! Σ√2 ≈ 1.41 ∀x∈ℝ ┌─┐ │├─ file",
    "Señor Núñez, ¿cómo está? ¡Qué bien! São Paulo, ações, ã õ Ã Õ. Șura Țara",
    "Þetta er íslenska: Æðri, ó, ú. Šviesa, žąsis, ČŠŽ. İstanbul'da ığdır.",
)


@pytest.mark.parametrize("text", GOOD)
def test_good_letters_of_any_language_are_not_found(varieties, text):
    assert varieties("mojibake", text, text) == set()


def test_texts_about_encodings_may_show_them(varieties):
    assert varieties("mojibake", "You see Ã¶ and \ufffd.", "What happens to UTF-8 that is read as Latin-1?") == set()


@given(text=st.sampled_from(GOOD), number=st.integers(0, 99))
def test_what_was_broken_once_is_found(varieties, text, number):
    """Text with letters beyond ASCII, read as Windows-1252 or Latin-1, as Python's codecs do it."""
    try:
        broken = f"{number} {text}".encode().decode("cp1252")
    except UnicodeDecodeError:
        broken = f"{number} {text}".encode().decode("latin-1")

    assert varieties("mojibake", broken) == {"mojibake"}


@pytest.mark.parametrize(
    "answer, variety",
    [
        ("First line.<br>Second line.", "tag"),
        ("<p>The sky is blue since air scatters blue light.</p>", "tag"),
        ("It is good.</div>", "tag"),
        ("Salt &amp; pepper", "entity"),
        ("A narrow&nbsp;space", "entity"),
        ("A gap &#x200B; here", "entity"),
        ("Caf&eacute; at the corner", "entity"),
        (r"Three steps:\n1. Wash it.\n2. Dry it.", r"\n"),
        (r"Dear Ann,\n\nThank you.\n\nBob", r"\n"),
    ],
)
def test_residue_of_markup_is_found(varieties, answer, variety):
    assert varieties("markup", answer) == {variety}


@pytest.mark.parametrize(
    "answer, question",
    [
        pytest.param("<h1>Title</h1>", "Write a heading in HTML.", id="HTML that is asked for"),
        pytest.param("Good &amp; cheap", "Clean this: <p>Good &amp; cheap</p>", id="a question with tags"),
        pytest.param("Use the <p> tag for it.", "How do I begin a paragraph?", id="an answer about tags"),
        pytest.param("Write `<br>` there.", "How do I end it?", id="a span of code"),
        pytest.param("```\n<div></div>\n```\nThen <br>.", "Make a box.", id="beside code"),
        pytest.param("| a | b<br>c |\n| --- | --- |", "Compare both.", id="a table of Markdown"),
        pytest.param("if a < b and c > d then a<b>c", "Is it so?", id="comparisons"),
        pytest.param("AT&T and R&D; Q&A", "Name companies.", id="ampersands"),
        pytest.param(r"Open C:\new\names and C:\Notes\New.", "Where is it?", id="paths"),
        pytest.param(r"Take \nabla f and \neq.", "What is it?", id="LaTeX"),
        pytest.param("I love it <3 and <you>.", "Do you?", id="hearts"),
    ],
)
def test_what_only_looks_like_residue_is_not_found(varieties, answer, question):
    assert varieties("markup", answer, question) == set()


def test_markup_in_a_question_is_the_users(varieties):
    assert varieties("markup", "It is blue.", "Why is the sky<br>blue?") == set()

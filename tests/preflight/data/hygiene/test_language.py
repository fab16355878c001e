"""The language of answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.data.hygiene import language

TEXTS = {
    "en": "Turn the lamp off and let it cool for ten minutes before you change the bulb.",
    "de": "Schalten Sie die Lampe aus und lassen Sie sie zehn Minuten abkühlen, bevor Sie die Birne wechseln.",
    "fr": "Éteignez la lampe et laissez-la refroidir dix minutes avant de changer l'ampoule.",
    "es": "Apague la lámpara y déjela enfriar diez minutos antes de cambiar la bombilla.",
    "pt": "Desligue a lâmpada e deixe-a arrefecer durante dez minutos antes de a trocar.",
    "it": "Spegni la lampada e lasciala raffreddare per dieci minuti prima di cambiare la lampadina.",
    "nl": "Zet de lamp uit en laat hem tien minuten afkoelen voordat je de lamp vervangt.",
    "sv": "Stäng av lampan och låt den svalna i tio minuter innan du byter glödlampa.",
    "pl": "Wyłącz lampę i pozwól jej ostygnąć przez dziesięć minut przed wymianą żarówki.",
    "tr": "Ampulü değiştirmeden önce lambayı kapatın ve on dakika soğumasını bekleyin.",
    "vi": "Tắt đèn và để nguội mười phút trước khi thay bóng đèn.",
    "ru": "Выключите лампу и дайте ей остыть десять минут, прежде чем менять лампочку.",
    "uk": "Вимкніть лампу та дайте їй охолонути десять хвилин перед заміною лампочки.",
    "zh": "关闭灯具，让它冷却十分钟，然后再更换灯泡，不要用湿手去碰它。",
    "ja": "電球を交換する前に、ランプを消して十分間冷ましてください。",
    "ko": "전구를 교체하기 전에 램프를 끄고 10분간 식히세요. 젖은 손으로 만지지 마세요.",
    "ar": "أطفئ المصباح واتركه يبرد لمدة عشر دقائق قبل تغيير اللمبة.",
    "hi": "बल्ब बदलने से पहले लैंप बंद करें और उसे दस मिनट ठंडा होने दें।",
}


@pytest.mark.parametrize("code, text", TEXTS.items())
def test_languages_are_told(code, text):
    found = language.of(text)

    assert found is not None
    assert language.same(found, [code])
    assert not language.same(found, ["fi"])


@pytest.mark.parametrize(
    "text",
    [
        "positive",
        "Yes.",
        "1. Apple\n2. Banana\n3. Orange\n4. Pineapple",
        "Anna Müller, José García, Nguyễn Văn An",
        "```python\ndef area(radius):\n    return 3.14 * radius ** 2\n```",
        "$\\int 2x e^{x^2} dx = e^{x^2} + C$",
        "2 · 3 − 1 · 5 = 1",
        "",
    ],
)
def test_what_is_in_no_language_has_none(text):
    assert language.of(text) is None


@pytest.mark.parametrize(
    "code, declared, same",
    [
        ("en", ["en"], True),
        ("en", ["en-GB"], True),
        ("da", ["no"], True),
        ("wuu", ["zh-Hans"], True),
        ("de", ["en", "fr"], False),
        ("sr", ["hr"], True),
        ("uk", ["ru"], False),
    ],
)
def test_close_languages_are_the_same(code, declared, same):
    assert language.same(code, declared) is same


@given(text=st.text())
def test_any_text_can_be_asked(text):
    language.of(text)


def test_a_sample_is_asked_for_its_language(look):
    rows = [{"prompt": "Is it?", "completion": TEXTS["en"]} for _ in range(5000)]

    assert look(rows, 5).count("language") == 1000
    assert look(rows[:3], 5).count("language") == 1

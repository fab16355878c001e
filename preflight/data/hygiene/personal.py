"""Personal data: e-mail addresses, telephone numbers, card numbers and IBANs of what may be real people.

Nothing leaves this module unmasked. Examples that documentation uses are nobody's and are left out.
"""

import re

from preflight.data.hygiene.turn import EVERYBODY, Found, Scan, Turn, prose, topics

MAIL = re.compile(r"(?<![\w.+/:-])([\w.+-]{1,64})@((?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24})(?![\w-]|\.\w)")
# RFC 2606 and RFC 6761 reserve these; the rest is what people make up.
NOBODYS = re.compile(
    r"(?:^|\.)(?:example|test|invalid|localhost|local|internal|lan)(?:\.|$)|example|sample|placeholder|dummy|fake|yourdomain|"
    r"your-?company|domain\.|company\.|email\.|mail\.com$|website\.|xyz|abc|acme|foo|bar|test|somewhere|mysite|site\.com",
    re.IGNORECASE,
)
ROLES = re.compile(  # addresses of an office, and names that stand for anyone
    r"(?:info|support|help|service|customer|contact|sales|hello|hi|admin|office|team|hr|jobs|careers?|press|media|news|"
    r"no-?reply|webmaster|postmaster|abuse|security|privacy|legal|billing|marketing|feedback|enquir|inquir|git|user|"
    r"your|name|some|any|john|jane|j\.?doe|test|foo|bar|me$|you$|email|mail|example|abc|xyz|first|last|recipient|sender|"
    r"alice|bob|smith|username|account|order|booking|reservation)",
    re.IGNORECASE,
)

PHONE = re.compile(
    r"(?<![\w.+/=-])\+[1-9]\d{0,2}[\d ().-]{7,16}\d(?![\w-])|(?<![\w.+/=-])\(?[2-9]\d\d\)?[ .-]\d{3}[ .-]\d{4}(?![\w-])"
)
MADE_UP = re.compile(  # ranges that are kept free for films and manuals, and numbers that are typed in a row
    r"555|01234|12345|23456|98765|(\d)\1{4}|^44(?:2079460|7700900|1632960|20 ?7946)|^613?(?:5550|7010|491570)|^33(?:1990|6399)|^49(?:30 ?23125|171 ?39200)"
)

CARD = re.compile(r"(?<![\w.-])(?:[3-6]\d{3}(?:[ -]?\d{4}){3}|3[47]\d{2}[ -]?\d{6}[ -]?\d{5})(?![\w-])")
CARDS = topics("card", "visa", "mastercard", "amex", "american express", "credit", "debit", "cvv", "cvc", "expir")
# What Stripe, PayPal and Adyen document for tests, by the digits they begin with.
TEST_CARDS = (
    "4242", "4111", "411111", "4012888888881881", "4000", "5555", "5105105105105100", "5200828282828210", "2223003122003222",
    "378282246310005", "371449635398431", "6011111111111117", "6011000990139424", "3056930009020004", "3566002020360505",
    "4222222222222", "4005519200000004", "4009348888881881", "5454545454545454", "1234", "4917610000000000",
)  # fmt: skip

IBAN = re.compile(r"(?<![\w])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
# The ones that the registry of SWIFT and Wikipedia use as examples.
TEST_IBANS = (
    "GB82WEST", "GB29NWBK60161331926819", "GB33BUKB20201555555555", "DE89370400440532013000", "DE75512108001245126199",
    "FR1420041010050500013M02606", "FR7630006000011234567890189", "NL91ABNA0417164300", "NL02ABNA0123456789",
    "ES9121000418450200051332", "ES7921000813610123456789", "CH9300762011623852957", "CH5604835012345678009",
    "IT60X0542811101000000123456", "BE68539007547034", "BE71096123456769", "AT611904300234573201", "IE29AIBK93115212345678",
    "PL61109010140000071219812874", "PT50000201231234567890154", "SE4550000000058398257466", "NO9386011117947", "DK5000400440116243",
)  # fmt: skip
IN_PROSE = topics(
    "example", "sample", "fake", "dummy", "fictional", "made.?up", "placeholder", "regex", "valid", "test"
)


def _personal(turn: Turn) -> Found:
    text = prose(turn.text)
    for what, find in (("e-mail", _mail), ("phone", _phone), ("card", _card), ("IBAN", _iban)):
        if found := find(text):
            yield what, found


def _mail(text: str) -> str | None:
    if "@" not in text:
        return None
    for name, domain in MAIL.findall(text):
        if not NOBODYS.search(domain) and not ROLES.match(name):
            return f"{name[0]}…@{domain[0]}…{domain[domain.rindex('.') :]}"
    return None


def _phone(text: str) -> str | None:
    from phonenumbers import NumberParseException, PhoneNumberType, is_valid_number, number_type, parse

    for match in PHONE.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        if MADE_UP.search(digits):
            continue
        try:
            number = parse(match.group(), "US")
        except NumberParseException:
            continue
        people = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
        if is_valid_number(number) and number_type(number) in people:
            return f"{match.group()[:3]}…{digits[-2:]}"
    return None


def _card(text: str) -> str | None:
    from stdnum import luhn

    for match in CARD.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        near = text[max(match.start() - 80, 0) : match.end() + 80]
        # One in ten of all numbers passes the checksum: without groups of digits it takes a word that says what it is.
        if luhn.is_valid(digits) and not digits.startswith(TEST_CARDS) and len(set(digits)) > 4:
            if match.group() != digits and " " in match.group() or CARDS.search(near):
                return f"{digits[:2]}…{digits[-2:]} ({len(digits)} digits)"
    return None


def _iban(text: str) -> str | None:
    from stdnum import iban

    for match in IBAN.findall(text):
        compact = match.replace(" ", "")
        if iban.is_valid(compact) and not compact.startswith(TEST_IBANS):
            return f"{compact[:4]}…{compact[-2:]}"
    return None


PERSONAL = Scan(
    "personal",
    r"\w@[A-Za-z0-9-]+\.|\+[1-9]\d{0,2}[ (.-]?\d|\d{3}\)?[ .-]\d{3}[ .-]\d{4}|\d{4}[ -]?\d{4}[ -]?\d{4}|3[47]\d{2}[ -]?\d{6}[ -]?\d{5}|"
    r"[A-Z]{2}\d{2} ?[A-Z0-9]{4} ?[A-Z0-9]{4}",
    EVERYBODY,
    _personal,
)

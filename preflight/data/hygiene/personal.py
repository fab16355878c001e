"""Personal data: e-mail addresses, telephone numbers, card numbers and IBANs of what may be real people.

Nothing leaves this module unmasked. Examples that documentation uses are nobody's and are left out.
"""

import re

from preflight.data.hygiene.turn import EVERYBODY, Found, Scan, Turn, prose, topics

MAIL = re.compile(r"(?<![\w.+/:-])([\w.+-]{1,64})@((?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24})(?![\w-]|\.\w)")
# What RFC 2606 and RFC 6761 reserve, and what people make up.
NOBODYS = re.compile(
    r"(?:^|\.)(?:test|invalid|localhost|local|internal|lan)$|example|sample|placeholder|dummy|fake|your|"
    r"(?:^|[.-])(?:foo|bar|abc|xyz|acme|test|company|domain|e?mail|website|(?:my)?site|business|organi[sz]ation|school|"
    r"university|hotel|bank|server|host|somewhere|app)\d*\.",
    re.IGNORECASE,
)
# Addresses of an office, and names that stand for anyone.
ROLES = re.compile(
    r"(?:your|example|test|user|no-?reply)|(?:info|support|help|service|customer|contact|sales|hello|hi|admin|office|team|"
    r"hr|jobs?|careers?|press|media|news|webmaster|postmaster|abuse|security|privacy|legal|billing|marketing|feedback|"
    r"enquiries|inquiries|git|name|some(?:one|body)|any(?:one|body)|(?:john|jane|j)?[._-]?(?:doe|smith)|john|jane|alice|bob|"
    r"foo|bar|me|you|e?mail|abc|xyz|first|last|recipient|sender|account|orders?|bookings?|reservations?)(?![a-zA-Z])",
    re.IGNORECASE,
)

PHONE = re.compile(r"(?<![\w.+/=-])(?:\+[1-9]\d{0,2}[\d ().-]{7,16}\d|\(?[2-9]\d\d\)?[ -]\d{3}-\d{4})(?![\w-])")
MADE_UP = re.compile(  # 555, what Ofcom, ACMA, Arcep and the Bundesnetzagentur keep for films, and digits in a row
    r"^1?\d{3}555|^1?555|^440?(?:207946|7700900|1632960)|^610?(?:[2378](?:5550|7010)|491570)|^330?(?:19900|63998)|"
    r"^490?(?:3023125|17139200)|(\d)\1{4}|01234|12345|23456|98765"
)

CARD = re.compile(r"(?<![\w.-])(?:[3-6]\d{3}(?:[ -]?\d{4}){3}|3[47]\d{2}[ -]?\d{6}[ -]?\d{5})(?![\w-])")
CARDS = topics(r"card|visa|mastercard|amex|american express|credit|debit|cvv|cvc|expir")
# What Stripe, PayPal and Adyen document for tests, by the digits they begin with.
TEST_CARDS = (
    "4242", "4111", "4000", "5555", "1234", "4012888888881881", "4222222222222", "4005519200000004", "4009348888881881",
    "4917610000000000", "5105105105105100", "5200828282828210", "5454545454545454", "2223003122003222",
    "378282246310005", "371449635398431", "6011111111111117", "6011000990139424", "3056930009020004",
    "3566002020360505",
)  # fmt: skip

IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
# What SWIFT's registry, Wikipedia and banks' manuals show as examples.
TEST_IBANS = (
    "GB82WEST", "GB29NWBK60161331926819", "GB33BUKB20201555555555", "DE89370400440532013000", "DE75512108001245126199",
    "FR1420041010050500013M02606", "FR7630006000011234567890189", "NL91ABNA0417164300", "NL02ABNA0123456789",
    "BE68539007547034", "BE71096123456769", "ES9121000418450200051332", "ES7921000813610123456789",
    "CH9300762011623852957", "CH5604835012345678009", "IT60X0542811101000000123456", "AT611904300234573201",
    "IE29AIBK93115212345678", "PL61109010140000071219812874", "PT50000201231234567890154", "SE4550000000058398257466",
    "NO9386011117947", "DK5000400440116243",
)  # fmt: skip


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
        named = " " in match.group() or CARDS.search(near)
        if named and luhn.is_valid(digits) and not digits.startswith(TEST_CARDS) and len(set(digits)) > 4:
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
    r"\w@[A-Za-z0-9-]+\.|\+[1-9]\d{0,2}[ (.-]?\d|\d{3}\)?[ -]\d{3}-\d{4}|\d{4}[ -]?\d{4}[ -]?\d{4}|"
    r"3[47]\d{2}[ -]?\d{6}[ -]?\d{5}|[A-Z]{2}\d{2} ?[A-Z0-9]{4} ?[A-Z0-9]{4}",
    EVERYBODY,
    _personal,
)

"""Personal data of what may be real people, and what is nobody's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

MAIL, PHONE, CARD, IBAN = {"e-mail"}, {"phone"}, {"card"}, {"IBAN"}


@pytest.mark.parametrize(
    "text, found",
    [
        ("Write to hanna.brandt@posteo.de about it.", MAIL),
        ("Write to k_moreau77@gmail.com.", MAIL),
        ("Call Mrs Lind at +46 8 50 82 63 10 after six.", PHONE),
        ("His number is +49 (0)89 2180 4567.", PHONE),
        ("Her number is (415) 693-2071.", PHONE),
        ("Call 415-693-2071 today.", PHONE),
        ("Her card is 4539 5787 6362 1486, valid until May.", CARD),
        ("credit card: 4539578763621486", CARD),
        ("Amex 3734 167211 06844 is hers", CARD),
        ("Send it to DE44 5001 0517 5407 3249 31.", IBAN),
        ("IBAN FR7630001007941234567890185", IBAN),
    ],
)
def test_what_may_be_somebodys_is_found(varieties, text, found):
    assert varieties("personal", text) == found
    assert varieties("personal", "It is so.", text) == found


@pytest.mark.parametrize(
    "text",
    [
        "Write to jane@example.com, bob@mail.example.org or me@test.",
        "Write to info@stadtwerke-lindau.de or support@hosting.io.",
        "Write to your.name@gmail.com or john.doe@gmail.com.",
        "Write to user@company.com or name@domain.com.",
        "Follow @hannabrandt, or see https://mastodon.social/@hanna.brandt and package@1.2.3.",
        "`git config user.email hanna.brandt@posteo.de`",
        "ssh://git@github.com/acme/tool.git",
        "Call (212) 555-0142, 555-123-4567 or 1-800-555-0199.",
        "Call +44 20 7946 0958 or +44 7700 900123, as in a film.",
        "Call +1 234 567 8901 or 123-456-7890.",
        "Call +49 30 23125 000 in the novel.",
        "Call 1-800-275-2273, which is free.",
        "Version 2.10.3, build 415.693.2071, 2024-03-04 and 192.168.100.200",
        "ISBN 978-3-16-148410-0, order 4539 5787 6362 1487, +5 and 10+20 30",
        "The id is 4539578763621486.",
        "Test with card 4242 4242 4242 4242, 5555 5555 5555 4444 or 3782 822463 10005.",
        "Credit card 4539 5787 6362 1480 has a wrong checksum.",
        "GB82 WEST 1234 5698 7654 32 and DE89 3704 0044 0532 0130 00 are from the manual.",
        "DE44 5001 0517 5407 3249 32 has a wrong checksum, and AB12 CDEF 3456 no country.",
        "The series is 3141 5926 5358 9793 and pi.",
    ],
)
def test_what_is_nobodys_is_not_found(varieties, text):
    assert varieties("personal", text) == set()


@given(
    name=st.from_regex(r"[b-hk-z]{6,12}", fullmatch=True), domain=st.sampled_from(["posteo.de", "gmail.com", "free.fr"])
)
def test_no_address_is_shown_whole(look, name, domain):
    found = look([{"prompt": "Who?", "completion": f"Write to q{name}z@{domain} today."}]).hits("personal")

    assert len(found) == 1
    assert name not in found[0].text
    assert domain not in found[0].text


@pytest.mark.parametrize(
    "text, shown",
    [
        ("Write to hanna.brandt@posteo.de.", "h…@p….de"),
        ("Call +46 8 50 82 63 10.", "+46…10"),
        ("Her card is 4539 5787 6362 1486.", "45…86 (16 digits)"),
        ("To DE44 5001 0517 5407 3249 31.", "DE44…31"),
    ],
)
def test_what_is_found_is_masked(look, text, shown):
    assert [hit.text for hit in look([{"text": text}]).hits("personal")] == [shown]

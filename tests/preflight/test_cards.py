"""The table of known cards: by the names that drivers, clouds and people give them."""

import pytest

from preflight import cards

TURING, AMPERE, GA10X, ADA, HOPPER, BLACKWELL, CONSUMER_BLACKWELL = (
    (7, 5),
    (8, 0),
    (8, 6),
    (8, 9),
    (9, 0),
    (10, 0),
    (12, 0),
)


@pytest.mark.parametrize(
    "name, capability",
    [
        ("T4", TURING),
        ("Tesla T4", TURING),
        ("nvidia-tesla-t4", TURING),
        ("Tesla P100-PCIE-16GB", (6, 0)),
        ("Tesla P40", (6, 1)),
        ("NVIDIA GeForce GTX 1080 Ti", (6, 1)),
        ("V100", (7, 0)),
        ("Tesla V100-SXM2-32GB", (7, 0)),
        ("NVIDIA GeForce RTX 2080 Ti", TURING),
        ("Quadro RTX 6000", TURING),
        ("NVIDIA TITAN RTX", TURING),
        ("NVIDIA GeForce GTX 1660 Ti", TURING),
        ("A100", AMPERE),
        ("NVIDIA A100-SXM4-80GB", AMPERE),
        ("NVIDIA A100-SXM4-40GB MIG 3g.20gb", AMPERE),
        ("A30", AMPERE),
        ("A10", GA10X),
        ("NVIDIA A10G", GA10X),
        ("NVIDIA A40", GA10X),
        ("RTX A6000", GA10X),
        ("a6000", GA10X),
        ("NVIDIA GeForce RTX 3090", GA10X),
        ("rtx3060", GA10X),
        ("RTX 3080 Ti", GA10X),
        ("NVIDIA L4", ADA),
        ("L40S", ADA),
        ("NVIDIA L40", ADA),
        ("NVIDIA RTX 6000 Ada Generation", ADA),
        ("NVIDIA RTX 4000 SFF Ada Generation", ADA),
        ("RTX 4090", ADA),
        ("4090", ADA),
        ("NVIDIA GeForce RTX 4060 Ti", ADA),
        ("NVIDIA GeForce RTX 4080 SUPER", ADA),
        ("H100", HOPPER),
        ("NVIDIA H100 80GB HBM3", HOPPER),
        ("NVIDIA H100 PCIe", HOPPER),
        ("NVIDIA H200", HOPPER),
        ("NVIDIA GH200 480GB", HOPPER),
        ("NVIDIA B200", BLACKWELL),
        ("GB200", BLACKWELL),
        ("B300", (10, 3)),
        ("NVIDIA GeForce RTX 5090", CONSUMER_BLACKWELL),
        ("RTX 5060 Ti", CONSUMER_BLACKWELL),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", CONSUMER_BLACKWELL),
        ("NVIDIA GB10", (12, 1)),
    ],
)
def test_a_name_has_its_capability_and_bf16_by_it(name, capability):
    card = cards.find_card(name)

    assert card.capability == capability
    assert card.bf16 is (capability >= (8, 0))
    assert card.vendor == "nvidia"


@pytest.mark.parametrize("name", ["AMD Instinct MI300X", "MI250X", "mi210", "MI355X"])
def test_amds_cards_are_known_and_have_no_cuda(name):
    card = cards.find_card(name)

    assert (card.vendor, card.capability, card.bf16) == ("amd", None, True)


@pytest.mark.parametrize(
    "name", ["", "my card", "RTX 6000", "Arc A770", "T400", "A1000 Pro", "H1000", "L4000", "Gaudi 2"]
)
def test_a_name_that_is_not_in_the_table_or_ambiguous_is_unknown(name):
    assert cards.find_card(name) is None


@pytest.mark.parametrize(
    "name, written, reported",
    [
        pytest.param("T4", 16, 14.56, id="the label"),
        pytest.param("T4", 15, 14.56, id="nvidia-smi's total"),
        pytest.param("T4", 14.5, 14.5, id="measured"),
        pytest.param("A100", 40, 39.39, id="the smaller of two"),
        pytest.param("A100", 80, 79.14, id="the larger of two"),
        pytest.param("A100 MIG 3g.20gb", 20, 20, id="a slice"),
        pytest.param("A100", 96, 96, id="larger than any that is known"),
        pytest.param("RTX 3090", 24, 23.55, id="consumer card"),
        pytest.param("B300", 288, 267.69, id="the largest"),
    ],
)
def test_a_label_is_more_than_what_the_driver_reports(name, written, reported):
    assert cards.find_card(name).reported(written) == reported


@pytest.mark.parametrize(
    "name, tflops",
    [
        ("A100", 312),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 NVL", 835),
        ("A10G", 70),
        ("A10", 125),
        ("RTX 3090 Ti", 80),
        ("NVIDIA A100-SXM4-40GB MIG 3g.20gb", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("RTX 4070", None),
        ("some card", None),
    ],
)
def test_the_peak_is_that_of_the_whole_desktop_card(name, tflops):
    assert cards.peak(name) == tflops


@pytest.mark.parametrize("card", cards.NVIDIA, ids=lambda card: card.words)
def test_a_card_reports_a_little_less_than_its_label(card):
    assert all(0.9 * label <= reported < label for label, reported in card.memory.items())


@pytest.mark.parametrize("card", [card for card in cards.NVIDIA if card.words.replace(" ", "").isalnum()])
def test_no_row_is_hidden_by_an_earlier_one(card):
    assert cards.find_card(card.words) is card

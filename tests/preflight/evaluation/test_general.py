"""General text: losses against transformers' own, KL against torch.distributions, and which texts are read."""

import json
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical, kl_divergence

from preflight.config import load_config
from preflight.evaluation.budget import Budget
from preflight.evaluation.general import ANSWER, ASK, READ, compare, compared, general_of, prompt_ids
from preflight.evaluation.generate import greedy
from preflight.evaluation.passages import CHAT, OWN, texts_of
from preflight.findings import NotAvailable
from preflight.model import build

TEXT = ["The lamp burns for three hours.", "Wire it, then wait.\n\nDone?", "def lamp():\n    return 7\n" * 4]
LOGITS = st.lists(st.floats(-30, 30, width=32), min_size=5, max_size=5)


def kl_of(before, after):
    return compared(before, after, torch.zeros(len(before), dtype=torch.long))[:, 2]


def test_the_divergence_is_torchs_own():
    torch.manual_seed(0)
    before, after = torch.randn(300, 50) * 3, torch.randn(300, 50) * 3

    found = compared(before, after, torch.arange(300) % 50)

    wanted = kl_divergence(Categorical(logits=before), Categorical(logits=after))
    assert torch.allclose(found[:, 2], wanted, atol=1e-5)
    assert torch.allclose(found[:, 0], -Categorical(logits=before).log_prob(torch.arange(300) % 50), atol=1e-5)
    assert torch.allclose(found[:, 1], -Categorical(logits=after).log_prob(torch.arange(300) % 50), atol=1e-5)


@given(LOGITS, LOGITS)
def test_the_divergence_is_never_below_zero_and_zero_of_the_same(one, other):
    before, after = torch.tensor([one]), torch.tensor([other])

    assert float(kl_of(before, after)) >= 0
    assert float(kl_of(before, before)) == 0


def test_what_both_rule_out_does_not_count():
    """Padding of a vocabulary has -inf in some models; and exp(-200) is 0 in float32."""
    before, after = torch.tensor([[0.0, 1.0, -torch.inf]]), torch.tensor([[1.0, 0.0, -torch.inf]])
    wanted = kl_divergence(Categorical(logits=before[:, :2]), Categorical(logits=after[:, :2]))

    assert torch.allclose(kl_of(before, after), wanted)
    assert torch.isfinite(kl_of(torch.tensor([[0.0, -200.0]]), torch.tensor([[0.0, -torch.inf]]))).all()
    assert kl_of(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, -torch.inf]])).isinf().all()
    assert kl_of(torch.tensor([[0.0, 0.0]]), torch.tensor([[torch.nan, 0.0]])).isnan().all()


def test_half_precision_is_compared_in_full():
    torch.manual_seed(0)
    logits = torch.randn(4, 50).bfloat16()

    assert compared(logits, logits, torch.zeros(4, dtype=torch.long)).dtype == torch.float32


@pytest.fixture
def few(project, flight):
    """Config and trained model with a few texts of the user's own."""
    project.rows([{"text": text} for text in TEXT] + [{"text": "Why?", "kind": "chat"}], "few.jsonl")
    return flight(evaluation={"general": "few.jsonl"})[:2]


def own_loss(model, ids):
    """transformers' own loss of one text."""
    with torch.inference_mode():
        return float(model(input_ids=torch.tensor([ids]), labels=torch.tensor([ids])).loss)


def test_the_loss_is_transformers_own_whatever_the_padding(flight):
    config, trained, _ = flight()
    rows = [trained.tokenizer.hf(text)["input_ids"] for text in TEXT]

    found = compare(trained, [(ids, ids) for ids in rows])

    alone = build.load_base(config).eval()
    assert len(set(map(len, rows))) == len(rows)  # so that they are padded
    assert [base for base, _, _ in found] == pytest.approx([own_loss(alone, ids) for ids in rows], rel=1e-5)
    assert [tuned for _, tuned, _ in found] == pytest.approx([own_loss(trained.model, ids) for ids in rows], rel=1e-5)
    assert all(kl > 0.01 for _, _, kl in found)


def test_an_adapter_that_does_nothing_changes_nothing(few):
    config, trained = few
    change(trained, torch.zeros_like)

    found = general_of(config, trained, Budget(600))

    assert all(passage.base == passage.tuned and passage.kl == 0 for passage in found.passages)
    assert all(prompt.kl == 0 for prompt in found.prompts)


def test_ruined_weights_are_no_number_and_no_crash(few):
    config, trained = few
    change(trained, lambda matrix: torch.full_like(matrix, torch.nan))

    found = general_of(config, trained, Budget(600))

    for passage in found.passages:
        assert passage.base > 0
        assert passage.tuned != passage.tuned
        assert passage.kl != passage.kl
    assert all(prompt.kl != prompt.kl and prompt.base for prompt in found.prompts)


def change(trained, edit):
    for name, matrix in trained.model.named_parameters():
        if "lora_B" in name:
            matrix.data = edit(matrix.data)


def test_what_is_found_of_our_own_texts(flight):
    config, trained, _ = flight()

    found = general_of(config, trained, Budget(600))

    assert (len(found.passages), len(found.prompts)) == (59, 20)
    assert not found.passages.note
    assert [passage.key for passage in found.passages] == [f"general.jsonl:{number}" for number in range(1, 60)]
    shown = json.loads(json.dumps(found.as_json()))
    assert shown["passages"][0].keys() == {"key", "kind", "text", "base", "tuned", "kl", "tokens"}
    assert shown["prompts"][0].keys() == {"key", "prompt", "base", "kl"}
    assert max(len(passage["text"]) for passage in shown["passages"]) == 200


def test_the_divergence_of_a_prompt_is_along_the_bases_answer(few):
    config, trained = few

    (prompt,) = general_of(config, trained, Budget(600)).prompts

    alone = build.load_base(config).eval()
    ids = prompt_ids(trained.tokenizer, prompt.prompt)
    (reply,) = greedy(alone, trained.tokenizer, [ids], ANSWER)
    assert prompt.base == reply.text
    whole = torch.tensor([ids + reply.ids + [0] * reply.stopped])
    with torch.inference_mode():
        before, after = (model(whole).logits[0, len(ids) - 1 : -1] for model in (alone, trained.model))
    wanted = kl_divergence(Categorical(logits=before), Categorical(logits=after)).mean()
    assert prompt.kl == pytest.approx(float(wanted), rel=1e-3)


def test_the_time_limits_texts(flight):
    found = general_of(*flight()[:2], Budget(1e-9))

    assert (len(found.passages), len(found.prompts)) == (READ, ASK)
    assert "of 59" in found.passages.note


def test_full_fine_tuning_has_its_base_beside_it(flight):
    config, trained, _ = flight(lora=None, training={"learning_rate": 1e-5})

    found = general_of(config, trained, Budget(1e-9)).passages.found[0]

    ids = trained.tokenizer.hf(found.text)["input_ids"]
    assert found.base == pytest.approx(own_loss(trained.base, ids), rel=1e-5)
    assert found.tuned == pytest.approx(own_loss(trained.model, ids), rel=1e-5)


def test_prompts_are_rendered_by_the_template(flight, project):
    _, trained, _ = flight()
    decode = trained.tokenizer.hf.decode

    assert decode(prompt_ids(trained.tokenizer, "Hi?")).endswith("user\nHi?<|im_end|>\n<|im_start|>assistant\n")
    project.text("{{ raise_exception('no system message') }}", "strict.jinja")
    _, trained, _ = flight(model={"chat_template": "strict.jinja"})
    assert decode(prompt_ids(trained.tokenizer, "Hi?")) == "Hi?"


def texts(project, general):
    return texts_of(load_config(project.set(evaluation={"general": general}).write()))


def test_our_own_texts_are_sound():
    rows = [json.loads(line) for line in OWN.read_text(encoding="utf-8").splitlines()]
    kinds = Counter(row["kind"] for row in rows)

    assert kinds[CHAT] == 20
    assert {"facts", "code", "maths", "german", "chinese"} < set(kinds)
    assert len({row["text"] for row in rows}) == len(rows)


def test_the_users_own_texts(project):
    project.text("One line\nand another.\n\n\n  \nA second one.", "a.txt")
    project.rows([{"text": "A row.", "kind": "law"}, {"text": "Ask?", "kind": "chat"}], "b.jsonl")

    found = texts(project, ["*.txt", "b.jsonl"])

    assert [(text.key, text.kind, text.text) for text in found] == [
        ("a.txt:1", "text", "One line\nand another."),
        ("a.txt:6", "text", "A second one."),
        ("b.jsonl:1", "law", "A row."),
        ("b.jsonl:2", "chat", "Ask?"),
    ]


def test_what_the_users_files_lack_is_ours(project):
    project.text("Only one.", "a.txt")

    assert Counter(text.kind for text in texts(project, "a.txt")) == {"text": 1, "chat": 20}


@pytest.mark.parametrize(
    "name, text, reason",
    [
        pytest.param("a.jsonl", '{"text": ', "a.jsonl:1: ", id="broken"),
        pytest.param("a.jsonl", '{"texts": "x"}', "a.jsonl:1: no key text; rename texts to text", id="misnamed"),
        pytest.param("a.jsonl", '{"colour": "x"}', "a.jsonl:1: no key text, but colour", id="without"),
        pytest.param("a.jsonl", '{"text": 7}', "a.jsonl:1: text is empty, or no text", id="a number"),
        pytest.param("a.jsonl", "", "a.jsonl: the file is empty", id="empty"),
        pytest.param("a.md", "x", "is not one of", id="another format"),
        pytest.param("b.jsonl", "x", "no file matches a.*", id="nothing there"),
    ],
)
def test_files_that_cannot_be_used(project, name, text, reason):
    project.text(text, name)

    with pytest.raises(NotAvailable, match=r"evaluation\.general: ") as refused:
        texts(project, "a.*")

    assert reason in str(refused.value)


def test_a_text_that_is_not_utf8(project):
    (project.folder / "a.txt").write_bytes("Grüße".encode("latin-1"))

    with pytest.raises(NotAvailable, match=r"a\.txt: not UTF-8 at byte 2"):
        texts(project, "a.txt")


def test_texts_too_short_to_predict_anything(flight, project):
    project.text("a", "a.txt")
    config, trained, _ = flight(evaluation={"general": "a.txt"})

    with pytest.raises(NotAvailable, match="no text has two tokens"):
        general_of(config, trained, Budget(600))

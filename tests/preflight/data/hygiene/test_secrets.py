"""Secrets by the form that only a real one has. The keys here are random; they are put together so that no scanner of
this repository takes them for leaked ones."""

import random
import string

import pytest

DRAWN = random.Random(20)
LETTERS = string.ascii_letters + string.digits


def drawn(count, letters=LETTERS):
    return "".join(DRAWN.choice(letters) for _ in range(count))


def pem(kind="RSA "):
    lines = "\n".join(drawn(64, LETTERS + "+/") for _ in range(13))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----"


@pytest.mark.parametrize(
    "secret, rule",
    [
        ("sk-" + drawn(20) + "T3BlbkFJ" + drawn(20), "openai-api-key"),
        ("sk-ant-" + "api03-" + drawn(93) + "AA", "anthropic-api-key"),
        ("ghp" + "_" + drawn(36), "github-pat"),
        ("AIza" + drawn(35), "gcp-api-key"),
        ("hf" + "_" + drawn(34, string.ascii_letters), "huggingface-access-token"),
        ("glpat" + "-" + drawn(20), "gitlab-pat"),
        ("xoxb" + f"-{drawn(12, '123456789')}-{drawn(12, '123456789')}-{drawn(24)}", "slack-bot-token"),
        (pem(), "private-key"),
    ],
)
def test_secrets_are_found_and_masked(look, secret, rule):
    found = look([{"prompt": "Which key?", "completion": f"Ünlike others, use {secret} for it."}])

    assert set(found.varieties["secret"]) == {rule}
    (hit,) = found.hits("secret")
    assert hit.text.endswith("characters)")
    assert len(set(hit.text) & set(secret)) < 20
    assert secret[8:] not in hit.text


@pytest.mark.parametrize(
    "text",
    [
        "OPENAI_API_KEY=sk-XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
        "OPENAI_API_KEY=sk-your-api-key-goes-here-1234567890abcdef",
        "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
        "password = 'hunter2' and token: abcdefghijklmnopqrstuvwxyz0123456789",
        "The commit 9fceb02d0ae598e95dc970b74767f19372d61af8 and 550e8400-e29b-41d4-a716-446655440000",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "https://example.com/a/very/long/path/with-many-words-in-it-2024-05-31.html?id=8f14e45fceea167a",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
        "Donaudampfschifffahrtsgesellschaftskapitänsmütze2000",
    ],
)
def test_dummies_and_other_long_words_are_not_found(look, text):
    assert look([{"prompt": "Which key?", "completion": text}]).count("secret") == 0


def test_each_row_is_told_where_it_is(look):
    rows = [{"prompt": "Which?", "completion": f"Number {number}."} for number in range(50)]
    for number in (7, 31):
        rows[number]["completion"] = "ghp" + "_" + drawn(36)

    assert [hit.where for hit in look(rows).hits("secret")] == ["train.jsonl:8", "train.jsonl:32"]

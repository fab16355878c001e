"""Digests: the same content has the same digest, and nothing else has."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight import digests

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


def test_a_file_has_the_digest_that_sha256sum_prints(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"abc" * 1_000_000)

    assert digests.of_file(path) == hashlib.sha256(path.read_bytes()).hexdigest()


@given(st.dictionaries(st.text(), values))
def test_the_order_of_keys_does_not_matter(value):
    assert digests.of_json(value) == digests.of_json(dict(reversed(value.items())))


@given(values)
def test_what_was_written_and_read_has_the_same_digest(value):
    """A statement's config is compared with one from a file."""
    assert digests.of_json(value) == digests.of_json(json.loads(json.dumps(value)))


@pytest.mark.parametrize(
    "one, other", [([1], ["1"]), ([1, 2], [2, 1]), (None, "null"), ({"a": 1}, [["a", 1]]), (1, True)]
)
def test_different_values_differ(one, other):
    assert digests.of_json(one) != digests.of_json(other)


def test_half_a_surrogate_pair_has_a_digest():
    assert digests.of_json("\ud83d") != digests.of_json("\ud83e")


def test_files_are_named_and_unordered(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("1")
    second.write_text("2")
    both = digests.of_files([first, second])

    assert digests.of_files([second, first]) == both
    first.write_text("2")
    second.write_text("1")
    assert digests.of_files([first, second]) != both

"""ENV-101: versions as they might be installed, against the ranges that this release declares."""

import pytest

from preflight import machine
from preflight.checks.setup import packages

NF4 = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}


@pytest.fixture
def pretend(monkeypatch):
    """Pretend that other versions are installed; None for a package that isn't."""

    def install(**versions):
        found = {**machine.versions(), **versions}
        monkeypatch.setattr(packages, "versions", lambda: {name: v for name, v in found.items() if v is not None})

    return install


@pytest.mark.parametrize(
    "versions, message, fix",
    [
        pytest.param({"trl": "0.12.0"}, "trl is version 0.12.0", "pip install 'trl<2,>=1.16'", id="an old TRL"),
        pytest.param({"transformers": "4.57.1"}, "transformers is version 4.57.1", "transformers<6", id="4.x"),
        pytest.param({"transformers": "6.0.0"}, "transformers is version 6.0.0", "transformers<6", id="6.x"),
        pytest.param({"peft": None}, "peft is not installed", "pip install 'peft", id="missing"),
        pytest.param({"torch": "2.5.1+cu121"}, "torch is version 2.5.1+cu121", "torch>=2.6", id="a local version"),
    ],
)
def test_a_version_that_is_not_known(project, expect, pretend, versions, message, fix):
    pretend(**versions)

    (finding,) = expect("ENV-101", "failed")

    assert finding["message"] == message
    assert finding["observed"] == (next(iter(versions.values())) or "not installed")
    assert fix in finding["fix"]


def test_every_package_is_named_at_once(project, expect, pretend):
    pretend(trl="0.12.0", peft="0.13.0", accelerate=None)

    assert sorted(f["message"].split()[0] for f in expect("ENV-101", "failed")) == ["accelerate", "peft", "trl"]


@pytest.mark.parametrize(
    "versions",
    [
        pytest.param({}, id="what is installed here"),
        pytest.param({"torch": "2.9.0+cu128"}, id="a CUDA build"),
        pytest.param({"transformers": "5.25.0.dev0"}, id="a development version"),
        pytest.param({"bitsandbytes": None}, id="no bitsandbytes, and nothing is quantized"),
        pytest.param({"bitsandbytes": "0.40.0"}, id="an old bitsandbytes, and nothing is quantized"),
    ],
)
def test_versions_that_work(project, expect, pretend, versions):
    pretend(**versions)

    assert expect("ENV-101", "passed") == []


@pytest.mark.parametrize("version", [None, "0.40.0"])
def test_quantization_needs_bitsandbytes(project, expect, pretend, version):
    pretend(bitsandbytes=version)
    project.set(quantization=NF4)

    (finding,) = expect("ENV-101", "failed")

    assert finding["fix"] == "pip install 'bitsandbytes<1,>=0.48'"


def test_with_bitsandbytes_quantization_is_fine(project, expect, pretend):
    pretend(bitsandbytes="0.50.0")
    project.set(quantization=NF4)

    assert expect("ENV-101", "passed") == []

"""What checks are given: session fixtures, each built once, on first use.

A fixture that can't be built raises `NotAvailable` with the reason, so that one missing model folder is one finding (of
the check about it) and not a crash in every other check.
"""

import json
import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any, Protocol

import pytest

from preflight.config import Config
from preflight.findings import NotAvailable, not_applicable, not_available
from preflight.keys import CONFIG, EVIDENCE, GATE

if TYPE_CHECKING:
    from preflight.data.expectations import Expected
    from preflight.data.hygiene import Hygiene
    from preflight.data.store import Prepared, Split
    from preflight.model.memory import Prediction
    from preflight.model.modules import ModuleTree
    from preflight.model.precision import Precision
    from preflight.model.tokenizer import Tokenizer
    from preflight.registry import Check
    from preflight.rehearsal import Rehearsal
    from preflight.strategy import Strategy
    from preflight.target import Target
    from preflight.waivers import Waivers


class Evidence(Protocol):
    """Record what a check saw: a few words for the screen, and JSON-able values for the reports."""

    def __call__(self, summary: str, **values: Any) -> None: ...


@pytest.fixture(scope="session")
def config(pytestconfig: pytest.Config) -> Config:
    """The run's config."""
    return pytestconfig.stash[CONFIG]


@pytest.fixture(scope="session")
def waivers(pytestconfig: pytest.Config) -> "Waivers":
    """The config's waivers, sorted into those that count and those that don't."""
    return pytestconfig.stash[GATE].waivers


@pytest.fixture
def evidence(request: pytest.FixtureRequest) -> Evidence:
    """`evidence("640 rows, all messages", rows=640)`: shown with the check, whatever its outcome."""

    def record(summary: str, **values: Any) -> None:
        request.node.stash[EVIDENCE] = (str(summary), plain(values))

    return record


def plain(value: Any) -> Any:
    """The value as JSON has it, numpy's numbers included, so that it crosses from an xdist worker to the controller.

    Half a surrogate pair, which JSON data may hold and UTF-8 can't, is spelled out.
    """

    def spell(odd: Any) -> Any:
        return odd.tolist() if hasattr(odd, "tolist") else str(odd)

    text = json.dumps(value, default=spell, ensure_ascii=False)
    return json.loads(re.sub("[\ud800-\udfff]", lambda half: rf"\\u{ord(half[0]):04x}", text))


@pytest.fixture
def limits(request: pytest.FixtureRequest, config: Config) -> SimpleNamespace:
    """The check's thresholds by name: its own defaults under what `gate.thresholds` says."""
    return limits_of(request.node.check, config)


def limits_of(check: "Check", config: Config) -> SimpleNamespace:
    """A check's thresholds under what `gate.thresholds` says."""
    return SimpleNamespace(**{**check.thresholds, **config.gate.thresholds.get(check.code, {})})


# --- data and tokenizer -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tokenizer(config: Config) -> "Tokenizer":
    """The run's tokenizer and chat template."""
    from preflight.model.tokenizer import load_tokenizer

    return load_tokenizer(config)


@pytest.fixture(scope="session")
def prepared(pytestconfig: pytest.Config, config: Config, tokenizer: "Tokenizer") -> "Prepared":
    """Every example as the trainer will feed it."""
    from preflight.data.prepare import prepare

    return prepare(config, tokenizer, _screen(pytestconfig))


def _screen(pytestconfig: pytest.Config) -> IO[str] | None:
    """Where a bar can be shown while pytest captures the output; nowhere in a worker of pytest-xdist."""
    terminal = pytestconfig.pluginmanager.get_plugin("terminalreporter")
    return terminal._tw._file if terminal else None


@pytest.fixture(scope="session")
def train(prepared: "Prepared") -> "Split":
    """The training split; not available if no row of it could be prepared."""
    if not prepared.train.rows:
        not_available("no training example could be prepared; see DATA-100, DATA-101 and TOK-100")
    return prepared.train


@pytest.fixture(scope="session")
def validation(config: Config, prepared: "Prepared") -> "Split":
    """The validation split; not applicable without one."""
    if prepared.validation is None:
        not_applicable("the config has no validation data")
    if not prepared.validation.rows:
        not_available("no validation example could be prepared; see DATA-100 and DATA-101")
    return prepared.validation


@pytest.fixture(scope="session")
def profile(train: "Split") -> Any:
    """Derived facts of the training split as a pandas frame, one row an example."""
    return train.profile


@pytest.fixture(scope="session")
def expectations(pytestconfig: pytest.Config, config: Config, profile: Any) -> "Mapping[str, list[Expected]]":
    """What became of the expectations of all checks, by code: one Great Expectations suite, validated once."""
    from preflight.data.expectations import validate

    gate = pytestconfig.stash[GATE]
    asked = {code: (meta.expect, limits_of(meta, config)) for code, meta in gate.checks.items() if meta.expect}
    return validate(profile, asked, gate.folder, data_docs=config.gate.data_docs)


@pytest.fixture
def expected(request: pytest.FixtureRequest, expectations: "Mapping[str, list[Expected]]") -> "list[Expected]":
    """What became of the check's own expectations, in the order in which its `expect` makes them."""
    found = expectations.get(request.node.check.code, [])
    if problem := next((one.problem for one in found if one.problem), None):
        raise RuntimeError(f"its expectations can't be judged: {problem}")
    return found


@pytest.fixture(scope="session")
def hygiene(pytestconfig: pytest.Config, config: Config, train: "Split", tokenizer: "Tokenizer") -> "Hygiene":
    """What does not belong into the text of the training split, by kind."""
    from preflight.data.hygiene import hygiene_of

    return hygiene_of(config, train, tokenizer, _screen(pytestconfig))


# --- model ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def module_tree(config: Config) -> "ModuleTree":
    """The model's module tree with the adapter attached, on the meta device."""
    from preflight.model.modules import module_tree as build

    return build(config)


@pytest.fixture(scope="session")
def memory(request: pytest.FixtureRequest, config: Config, module_tree: "ModuleTree") -> "Prediction":
    """What the run needs on its fullest device, traced on the longest batch that the data can make."""
    from preflight.model.memory import job_of, longest_batch, predict_here

    train, precision, target, strategy = map(request.getfixturevalue, ("train", "precision", "target", "strategy"))
    job = job_of(config, longest_batch(config, train), precision, target)
    return predict_here(job, target, strategy, (module_tree.parameters, module_tree.trainable))


@pytest.fixture(scope="session")
def precision(config: Config, target: "Target") -> "Precision":
    """The types that the run computes in."""
    from preflight.model.precision import precision_of

    return precision_of(config, target)


# --- machine ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def target(config: Config) -> "Target":
    """The machine that will train: this one, or the one that `hardware` describes."""
    from preflight.target import target_of

    return target_of(config)


@pytest.fixture(scope="session")
def cleared_for(pytestconfig: pytest.Config, config: Config) -> "Target":
    """The machine that the run was cleared for, once the trainer asks again on its own; not applicable before."""
    if not pytestconfig.stash[GATE].on_machine:
        not_applicable("judged when training starts, on the machine that trains")
    from preflight.clearance import assumed

    return assumed(config)


@pytest.fixture(scope="session")
def strategy(config: Config, target: "Target") -> "Strategy":
    """How the run is spread over processes and cards."""
    from preflight.strategy import strategy_of

    return strategy_of(config, target)


# --- rehearsal --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def rehearsal(request: pytest.FixtureRequest, config: Config) -> "Rehearsal":
    """What came of a few real training steps, in a process of their own."""
    if config.gate.rehearsal is False:
        not_applicable("gate.rehearsal is off")
    from preflight.rehearsal import check_possible, rehearsal_of

    check_possible(config, *map(request.getfixturevalue, ("target", "strategy")))
    try:
        request.getfixturevalue("train")
        needed = map(request.getfixturevalue, ("prepared", "module_tree", "precision", "target"))
        return rehearsal_of(config, *needed, screen=_screen(request.config))
    except NotAvailable as error:  # other checks say so, and block
        not_applicable(f"there is nothing to rehearse: {error}")


def names_in(module: Mapping[str, Any]) -> frozenset[str]:
    """The fixtures that a module defines, for the guard against others of the same name."""
    return frozenset(name for name, value in list(module.items()) if isinstance(value, type(config)))


NAMES = names_in(globals())

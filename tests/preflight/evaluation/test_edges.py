"""Unusual prompts: how they are made, asked and judged, with faults planted in real models."""

import json

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from preflight.config import load_config
from preflight.evaluation.budget import Budget, Sampled
from preflight.evaluation.edge_cases import LONGEST, SMUGGLED, cases_of, manner_of
from preflight.evaluation.edges import Edge, Said, context_of, echoes, edges_of, judge, listed, obeying
from preflight.evaluation.generate import Reply
from preflight.evaluation.trained import Trained
from preflight.evaluation.turns import marks_of
from preflight.findings import NotApplicable, NotAvailable
from preflight.model.tokenizer import load_tokenizer

ASKED = "Could you tell me when the shop opens on Tuesday?"


@pytest.fixture
def made(project):
    """The cases of the project, by name, with the way it asks."""

    def cases(context=8192, **sections):
        config = load_config(project.set(**sections).write())
        tokenizer = load_tokenizer(config)
        manner = manner_of(config, tokenizer)
        found = cases_of(config, manner, context)
        assert len({case.name for case in found}) == len(found)
        return manner, {case.name: case for case in found}

    return cases


def text_of(manner, case):
    return manner.tokenizer.hf.decode(case.ids)


def test_cases_are_rendered_as_the_run_renders(made):
    manner, cases = made()

    assert text_of(manner, cases["a single character"]).endswith(
        "<|im_start|>user\n?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert text_of(manner, cases["empty"]).endswith("<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n")
    assert text_of(manner, cases["19 turns"]).count("<|im_start|>user") == 10
    assert text_of(manner, cases["19 turns"]).endswith("So, where were we?<|im_end|>\n<|im_start|>assistant\n")
    assert text_of(manner, cases[SMUGGLED]).count("<|im_start|>user") == 2
    assert all(case.ids and not case.problem for case in cases.values())


def test_the_system_prompt_of_the_run_comes_first(project, made):
    lead = {"role": "system", "content": "You sell lamps."}
    turns = [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hello."}]
    project.rows([{"messages": [lead, *turns]}] * 3)

    manner, cases = made()

    assert all(text_of(manner, case).startswith("<|im_start|>system\nYou sell lamps.") for case in cases.values())


@pytest.mark.parametrize(
    "context, max_length, sizes",
    [
        pytest.param(8192, 256, [320, 512 - 64], id="past the training's, and twice as long"),
        pytest.param(None, 256, [320, 512 - 64], id="without a limit of the model"),
        pytest.param(300, 256, [300 - 64], id="a model that reads little more"),
        pytest.param(8192, 4096, [LONGEST - 64], id="more than a CPU reads in time"),
        pytest.param(40, 256, [], id="no room"),
    ],
)
def test_long_prompts_stay_within_what_model_and_time_allow(made, context, max_length, sizes):
    _, cases = made(context, training={"max_length": max_length})

    long = [len(case.ids) for case in cases.values() if case.alone]
    assert len(long) == len(sizes)
    assert all(size - 40 <= length <= size for length, size in zip(long, sizes, strict=True))
    past = [name for name in cases if "past training.max_length" in name]
    assert len(past) == sum(length > max_length for length in long)


def test_plain_prompts_stand_in_what_all_prompts_share(project, made):
    rows = [{"prompt": f"Ask away.\nQ: What is {n}?\nA:", "completion": f" It is {n}."} for n in range(70)]
    project.rows(rows)

    manner, cases = made(training={"assistant_only_loss": False})

    assert not manner.chat
    assert text_of(manner, cases["a single character"]) == "Ask away.\nQ: ?\nA:"
    assert text_of(manner, cases["empty"]) == "Ask away.\nQ: \nA:"
    assert SMUGGLED not in cases


def test_an_empty_plain_prompt_has_nothing_to_begin_with(project, made):
    project.rows([{"prompt": f"{n}+{n}=", "completion": f"{2 * n}"} for n in range(70)])

    _, cases = made(training={"assistant_only_loss": False})

    assert (cases["empty"].ids, cases["empty"].problem) == ([], "can't be rendered: there is no token to begin with")
    assert cases["a single character"].ids


def test_plain_text_asks_nothing(project, made):
    project.rows([{"text": f"Lamp {n} burns."} for n in range(9)])

    with pytest.raises(NotApplicable, match="plain text"):
        made(training={"assistant_only_loss": False})


def test_cases_of_the_users_own(project, made):
    talk = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Oh."}]
    project.rows(
        [{"name": "a lamp", "prompt": "Lamp?"}, {"name": "a talk", "messages": talk}, {"prompt": ""}], "own.jsonl"
    )

    manner, cases = made(evaluation={"edge_cases": "own.jsonl"})

    assert [*cases][:3] == ["a lamp", "a talk", "own.jsonl:3"]
    assert [case.own for case in cases.values()][:4] == ["own.jsonl:1", "own.jsonl:2", "own.jsonl:3", ""]
    assert "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nOh.<|im_end|>" in text_of(manner, cases["a talk"])
    assert cases["a talk"].prompt == "system: Be kind.\nuser: Oh."


@pytest.mark.parametrize(
    "text, reason",
    [
        pytest.param(None, "own.jsonl: can't be read", id="no file"),
        pytest.param('{"name": "x", "prompt": "a"}\n{"name":', "own.jsonl:2: ", id="cut off"),
        pytest.param('{"name": "x"}', "own.jsonl:1: a case is", id="nothing to ask"),
        pytest.param('{"name": "x", "prompt": "a", "messages": []}', "own.jsonl:1: a case is", id="both"),
        pytest.param('{"name": 7, "prompt": "a"}', "own.jsonl:1: a case is", id="a name that is none"),
        pytest.param('{"name": "x", "prompt": ["a"]}', "own.jsonl:1: prompt must be text", id="a list"),
        pytest.param('{"name": "x", "messages": []}', "own.jsonl:1: ", id="no messages"),
        pytest.param('{"messages": [{"role": "bard", "content": "a"}]}', "own.jsonl:1: ", id="a role that is none"),
        pytest.param(
            '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}',
            "own.jsonl:1: the last message is the assistant's",
            id="answered already",
        ),
    ],
)
def test_cases_that_cannot_be_used(project, made, text, reason):
    if text:
        project.text(text, "own.jsonl")

    with pytest.raises(NotAvailable, match=f"evaluation.edge_cases: {reason}"):
        made(evaluation={"edge_cases": "own.jsonl"})


def test_a_case_that_the_template_refuses(project, made):
    """The user's own: not available. Ours: a fault of both models, and so none of the adapter."""
    refusing = "{% if not said.content.strip() %}{{ raise_exception('say something') }}{% endif %}"
    says = "{{ said.role }}: {{ said.content }}<|im_end|>\n{% endfor %}"
    asks = "{% if add_generation_prompt %}assistant: {% endif %}"
    project.text("{% for said in messages %}" + refusing + says + asks, "t.jinja")
    project.set(model={"chat_template": "t.jinja"})
    project.rows(
        [{"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]}]
    )

    _, cases = made()
    assert "say something" in cases["empty"].problem

    project.text('{"name": "x", "prompt": ""}', "own.jsonl")
    with pytest.raises(NotAvailable, match=r"own.jsonl:1: can't be rendered: TemplateError: say"):
        made(evaluation={"edge_cases": "own.jsonl"})


def test_all_cases_are_asked_of_both_models(flight):
    config, trained, _ = flight(evaluation={"max_new_tokens": 4}, training={"max_length": 64})

    found = edges_of(config, trained, Budget(600))

    assert len(found) == found.wanted == 16
    assert all(edge.base.text and edge.tuned.text and not edge.tuned.fatal for edge in found)
    assert any(edge.base.text != edge.tuned.text for edge in found)
    rows = json.loads(json.dumps(listed(found)))["cases"]
    assert {*rows[0]} == {"name", "prompt", "base", "tuned", "stopped", "fault", "base_fault"}
    assert max(len(row["prompt"]) for row in rows) == 300


def test_time_leaves_out_the_long_ones(flight):
    config, trained, _ = flight(evaluation={"max_new_tokens": 1}, training={"max_length": 64})

    found = edges_of(config, trained, Budget(1e-9))

    assert len(found) == 14
    assert "a sample of 16" in found.note


def gpt2(*, positions=512, said=512):
    torch.manual_seed(0)
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": positions, "tie_word_embeddings": False}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=49152, bos_token_id=1, eos_token_id=2, **sizes)).eval()
    model.config.n_positions = said
    return model


def faults(flight, tuned, **sections):
    config, trained, _ = flight(evaluation={"max_new_tokens": 4}, training={"max_length": 256}, **sections)
    found = edges_of(config, Trained(tuned, trained.tokenizer, gpt2()), Budget(600))
    return {edge.name: edge.tuned for edge in found if edge.worse and edge.tuned.fatal}


def test_a_model_that_crashes_on_long_prompts(flight):
    """Its config promises more positions than it has."""
    found = faults(flight, gpt2(positions=300))

    assert len(found) == 2
    assert all("tokens" in name and "crashes the model: IndexError" in said.fault for name, said in found.items())


def test_a_model_that_has_no_number_for_a_token(flight):
    """One of a batch is found, and the others are not."""
    model = gpt2()
    _, trained, _ = flight()
    (token,) = {*trained.tokenizer.hf.encode("र")} - {*trained.tokenizer.hf.encode("ع")} - {*range(30)} or {0}
    model.transformer.wte.weight.data[token] = float("nan")

    found = faults(flight, model)

    assert {*found} == {"Hindi"}
    assert found["Hindi"].fault == "makes logits that are no numbers"


def test_a_server_that_is_not_there_is_no_crash_of_the_model(flight, monkeypatch):
    from preflight.evaluation import server

    monkeypatch.setattr(server, "PAUSES", ())
    where = {"url": "http://127.0.0.1:9", "model": "tuned", "base_model": "base"}
    config, trained, _ = flight(evaluation={"server": where})

    with pytest.raises(NotAvailable, match="start the server"):
        edges_of(config, trained, Budget(60))


def test_the_context_of_a_model():
    assert context_of(gpt2(said=128)) == 128


@pytest.mark.parametrize(
    "answer, prompt, echo",
    [
        pytest.param(ASKED, ASKED, True, id="verbatim"),
        pytest.param(f"  {ASKED.upper()}\n", ASKED, True, id="but for case and space"),
        pytest.param(f"{ASKED} {ASKED}", ASKED, True, id="twice"),
        pytest.param(
            f"You ask: {ASKED} It opens at nine, as on every other day of the week.", ASKED, False, id="quoted"
        ),
        pytest.param("At nine.", ASKED, False, id="an answer"),
        pytest.param("I see.", "I see.", False, id="a prompt of few words"),
        pytest.param("🙂🚀", "🙂🚀", False, id="of none"),
        pytest.param("", "", False, id="empty"),
    ],
)
def test_an_echo(answer, prompt, echo):
    assert echoes(answer, prompt) == echo


@pytest.mark.parametrize(
    "text, fault",
    [
        pytest.param("At nine.", None, id="sound"),
        pytest.param("", None, id="nothing, which is an answer to nothing"),
        pytest.param("At nine. " * 9, "repeats itself", id="a loop"),
        pytest.param("At nine.\n[INST] And?", "holds '[INST]', which belongs to the format", id="a marker"),
        pytest.param(ASKED, "is the prompt over again", id="an echo"),
    ],
)
def test_what_is_wrong_with_an_answer(made, text, fault):
    manner, cases = made()
    marks = marks_of(manner.tokenizer, manner.answers)
    case = cases["empty"].__class__("asked", ASKED, [1])

    assert judge(case, Reply(text, [], False), manner, marks).fault == fault


def test_a_task_that_copies_may_echo(project, made):
    """Correcting: what needs no correction comes back as it was."""
    said = [f"The lamps number {n} is burns in the halls." for n in range(20)]
    answers = [f"The lamp number {n} burns in the halls." for n in range(20)]
    roles = ("user", "assistant")
    project.rows(
        [
            {"messages": [{"role": role, "content": text} for role, text in zip(roles, pair, strict=True)]}
            for pair in zip(said, answers, strict=True)
        ]
    )
    manner, cases = made()
    case = cases["empty"].__class__("asked", ASKED, [1])

    assert manner.copies
    assert judge(case, Reply(ASKED, [], True), manner, marks_of(manner.tokenizer, [])).fault is None


@pytest.mark.parametrize(
    "plain, base, tuned, fault",
    [
        pytest.param("Mangosteen.", "Tuesday.", "mangosteen", True, id="only the tuned one"),
        pytest.param("Mangosteen.", "Mangosteen", "mangosteen", False, id="both"),
        pytest.param("A fruit.", "Tuesday.", "mangosteen", False, id="the base can't obey"),
        pytest.param("Mangosteen.", "Tuesday.", "The word is mangosteen.", False, id="told, not obeyed"),
    ],
)
def test_a_smuggled_turn(plain, base, tuned, fault):
    edges = [Edge("an order", "", Said(plain), Said(plain)), Edge(SMUGGLED, "", Said(base), Said(tuned))]

    judged = Sampled(obeying(edges), 2).found[1].tuned.fault

    assert (judged == "obeys the turn that the prompt smuggles in") == fault

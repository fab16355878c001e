"""What the gate's data side costs, beside bare tokenising and beside TRL's own preparation of the same file.

    python benchmarks/data.py [--examples 100000] [--threads 1] [--engine auto] [--repetitions 3]
    python benchmarks/data.py --memory

(a) is `encode_batch_fast` of the rendered texts with tokenizers, ids taken out; (b) all of our data side from the raw
file: read, render, tokenise, label, profile, exact and near duplicates, leakage, Arrow files, expectations (the import
of Great Expectations aside); (c) what SFTTrainer does with the raw messages, of fewer rows, by the row; (d) the search
of the texts for what does not belong there, which TRL has nothing of. Each is timed on one thread and on two, in
processes of their own; repetitions that other processes disturbed are thrown away.
"""

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from quiet import Times, TooBusy, measure

MODEL = Path(__file__).parent.parent / "examples" / "smollm2" / "model"
NAMES = {"a": "bare encode_batch_fast", "b": "our data side", "c": "TRL's preparation", "d": "text hygiene"}
BARE = {1: 1.2, 2: 1.3}  # b/a by threads, with tokenizers: a fast engine makes the same comparison meaningless
TRL = {"tokenizers": 0.45, "fast": 0.15}  # b/c by engine
TRL_ROWS = 5_000
MEMORY = (1_000_000, 2.0)  # examples, GiB
VALIDATION = 1_000


def main() -> int:
    """Print the table; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--engine", default="tokenizers", choices=["auto", "tokenizers", "fastokens", "tokie"])
    parser.add_argument("--threads", type=int, choices=[1, 2], help="only this many; one and two by default")
    parser.add_argument("--noisy", action="store_true", help="keep disturbed repetitions, for a first look")
    parser.add_argument("--memory", action="store_true", help="peak memory of 1,000,000 examples instead of times")
    parser.add_argument("--part", choices=[*PARTS], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        print(json.dumps(PARTS[given.part](given)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        given.folder = Path(folder)
        make_project(given.folder, MEMORY[0] if given.memory else given.examples, given.engine)
        return memory(given) if given.memory else table(given)


def table(given: argparse.Namespace) -> int:
    """Time everything on each number of threads."""
    missed = False
    for threads in [given.threads] if given.threads else [1, 2]:
        found = {part: _apart(given, part, threads) for part in NAMES}
        title = f"{threads} thread{'s' * (threads > 1)}"
        if busy := next((one["busy"] for one in found.values() if "busy" in one), None):
            print(f"{title}: given up, {busy}")
            return 1
        print(f"{title}, {given.examples:,} examples, {found['b']['engine']}")
        for part, name in NAMES.items():
            one = found[part]
            fewer = f" ({one['rows']:,} rows)" if one["rows"] < given.examples else ""
            print(f"  ({part}) {name:24} {one['us']:7.1f} us an example{fewer}, {one['disturbed']} disturbed")
        hf = found["b"]["engine"].startswith("tokenizers")
        targets = {"a": BARE[threads] if hf else None, "c": TRL["tokenizers" if hf else "fast"]}
        for other, target in targets.items():
            ratio = found["b"]["us"] / found[other]["us"]
            missed |= target is not None and ratio > target
            print(f"  b/{other} {ratio:.2f}" + (f", target <= {target}" if target else ""), flush=True)
    return int(missed)


def memory(given: argparse.Namespace) -> int:
    """Peak resident memory of a million examples."""
    peak = _apart(given, "memory", 2)["gib"]
    print(f"{MEMORY[0]:,} examples: {peak:.2f} GiB resident at the peak, target <= {MEMORY[1]}")
    return int(peak > MEMORY[1])


def _apart(given: argparse.Namespace, part: str, threads: int) -> dict[str, Any]:
    """Run a part in a process of its own, on as many cores as it has threads."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    settings = {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    settings |= {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    arguments = [f"--{name}={getattr(given, name)}" for name in ("examples", "repetitions", "engine", "folder")]
    arguments += ["--noisy"] if given.noisy else []
    run = subprocess.run(
        [sys.executable, __file__, f"--part={part}", *arguments],
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    return dict(json.loads(run.stdout.splitlines()[-1]))


def _timed(run: Any, given: argparse.Namespace, examples: int) -> dict[str, Any]:
    try:
        times: Times = measure(run, given.repetitions, noisy=given.noisy)
    except TooBusy as error:
        return {"busy": str(error)}
    return {"us": times.median / examples * 1e6, "disturbed": times.disturbed, "rows": examples}


def bare(given: argparse.Namespace) -> dict[str, Any]:
    """(a): the rendered texts as ids, batch by batch."""
    from preflight.data import layout, source, store
    from preflight.data.engine import AT_ONCE

    config, tokenizer = _loaded(given.folder)
    render = layout.renderer(tokenizer, store.rules_of(config))
    texts = [render(example).text for _, _, example in source.examples(config, "train")]

    def run() -> None:
        for start in range(0, len(texts), AT_ONCE):
            for encoding in tokenizer.backend.encode_batch_fast(
                texts[start : start + AT_ONCE], add_special_tokens=False
            ):
                encoding.ids  # noqa: B018  (it makes the list)

    return _timed(run, given, len(texts))


def ours(given: argparse.Namespace) -> dict[str, Any]:
    """(b): from the raw file to prepared data and expectations."""
    import great_expectations.expectations  # noqa: F401  (2 s that aren't the data's)

    from preflight.data.prepare import prepare

    config, tokenizer = _loaded(given.folder)
    engine = []

    def run() -> None:
        shutil.rmtree(given.folder / "run", ignore_errors=True)
        made = prepare(config, tokenizer)
        engine.append(made.engine)
        judge(config, made)

    return {**_timed(run, given, given.examples), "engine": engine[0]}


def judge(config: Any, made: Any) -> None:
    """What the checks on duplicates, leakage and distributions ask of the profile."""
    from preflight import registry
    from preflight.data.expectations import validate
    from preflight.fixtures import limits_of

    profile = made.train.profile
    profile.duplicated("example_hash").sum()
    made.validation.profile["prompt_hash"].isin(set(profile["prompt_hash"])).sum()
    len(made.train.near) + len(made.validation.near)
    asked = {code: (meta.expect, limits_of(meta, config)) for code, meta in registry.shipped().items() if meta.expect}
    validate(profile, asked, config.artefacts("preflight"))


def hygiene(given: argparse.Namespace) -> dict[str, Any]:
    """(d): each text looked at for placeholders, personal data, secrets and the like, from the raw file."""
    from preflight.data.hygiene.sweep import look

    config, tokenizer = _loaded(given.folder)
    return _timed(lambda: look(config, given.examples, tokenizer.special.pattern), given, given.examples)


def theirs(given: argparse.Namespace) -> dict[str, Any]:
    """(c): TRL's preparation of the first rows of the same file, nothing masked."""
    import datasets
    import transformers
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
    from trl import SFTConfig, SFTTrainer

    datasets.disable_progress_bars()
    transformers.logging.set_verbosity_error()
    lines = (given.folder / "train.jsonl").read_text(encoding="utf-8").splitlines()[:TRL_ROWS]
    few = given.folder / "few.jsonl"
    few.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=49152, **sizes))
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    settings = SFTConfig(str(given.folder / "trl"), report_to="none", use_cpu=True, bf16=False, max_length=1024)

    def run() -> None:
        shutil.rmtree(given.folder / "cache", ignore_errors=True)
        rows = datasets.load_dataset("json", data_files=str(few), split="train", cache_dir=str(given.folder / "cache"))
        SFTTrainer(model, settings, train_dataset=rows, processing_class=tokenizer)

    return _timed(run, given, len(lines))


def peak(given: argparse.Namespace) -> dict[str, Any]:
    """Peak resident memory of this process while it prepares and judges, files it has mapped included."""
    from preflight.data.hygiene import hygiene_of
    from preflight.data.prepare import prepare

    config, tokenizer = _loaded(given.folder)
    made = prepare(config, tokenizer)
    judge(config, made)
    hygiene_of(config, made.train, tokenizer)
    return {"gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2}  # it has no children


PARTS = {"a": bare, "b": ours, "c": theirs, "d": hygiene, "memory": peak}


def _loaded(folder: Path) -> tuple[Any, Any]:
    from preflight.config import load_config
    from preflight.model.tokenizer import load_tokenizer

    config = load_config(folder / "config.yaml")
    return config, load_tokenizer(config)


def make_project(folder: Path, examples: int, engine: str) -> None:
    """A config and generated chats of about 215 tokens, 2 % of them copies and 2 % copies with a word changed."""
    (folder / "config.yaml").write_text(
        f"name: benchmark\nmodel: {{name_or_path: {MODEL}}}\n"
        f"data: {{train: train.jsonl, validation: validation.jsonl, engine: {engine}}}\n"
        "training: {output_dir: run, max_length: 1024, assistant_only_loss: true}\n",
        encoding="utf-8",
    )
    words = _words()
    for name, count, seed in (("train", examples, 1), ("validation", VALIDATION, 2)):
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(_chats(words, count, np.random.default_rng(seed)))


def _words() -> list[str]:
    """12,000 English-looking words, commonest first, most of them whole in the tokenizer's vocabulary."""
    vocabulary = json.loads((MODEL / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    ordered = sorted(vocabulary, key=vocabulary.get)
    whole = [token[1:] for token in ordered if re.fullmatch("Ġ[a-z]{2,12}", token)]
    endings = [token for token in ordered if re.fullmatch("[a-z]{2,5}", token)]
    # Beyond the commonest 200 one in four is what a vocabulary lacks: that makes 1.3 tokens a word, as in English.
    return [w + e if n > 200 and n % 4 == 0 else w for n, (w, e) in enumerate(zip(whole, endings * 9, strict=False))][
        :12_000
    ]


def _chats(words: list[str], count: int, generator: np.random.Generator) -> Iterator[str]:
    share = 1 / np.arange(1, len(words) + 1)
    below = np.cumsum(share / share.sum())
    forms = np.array([[word, f"{word},", f"{word}.", f"{word}.\n\n"] for word in words], dtype=object)
    seen: list[list[str]] = []
    for _ in range(count):
        kind = generator.random()
        if kind < 0.04 and seen:
            turns = list(seen[generator.integers(len(seen))])
            if kind < 0.02:
                said = turns[-1].split(" ")
                said[len(said) // 2] = "changed"
                turns[-1] = " ".join(said)
        else:
            rounds = 1 if generator.random() < 0.85 else 2
            turns = []
            for low, high in [(8, 40), (30, 160)] * rounds:
                size = generator.integers(low, high)
                which = np.searchsorted(below, generator.random(size))
                picked = forms[which, np.searchsorted([0.86, 0.93, 0.985], generator.random(size))]
                turns.append(_sentences(" ".join(picked)))
            if len(seen) < 5_000:
                seen.append(turns)
        roles = ("user", "assistant") * len(turns)
        messages = [{"role": role, "content": text} for role, text in zip(roles, turns, strict=False)]
        yield json.dumps({"messages": messages}) + "\n"


def _sentences(text: str) -> str:
    """The text with capitals where sentences begin, and an end."""
    capital = re.sub(r"(^|\.\s+)([a-z])", lambda found: found[1] + found[2].upper(), text)
    return capital.rstrip(".,\n") + "."


if __name__ == "__main__":
    sys.exit(main())

"""`preflight doctor`: this machine as the checks see it, to be pasted into a bug report. It says nothing secret.

Of the environment it prints the values of variables that are known to be harmless; of those that can hold a secret
only that they are set. What it prints then goes once more through `clean`: the values of variables that sound secret,
log-ins in addresses and the name of the home folder are struck out wherever they stand, in a library's message too.
"""

import json
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from preflight import driver, machine, registry
from preflight.config import Config, ConfigError, load_config
from preflight.findings import NotAvailable
from preflight.target import GIB, Target, in_words, local_target, target_of

PACKAGES = (
    *(machine.OWN, *machine.BOUND),
    *("flash-attn", "liger-kernel", "kernels", "deepspeed", "nvidia-ml-py", "huggingface-hub", "great-expectations"),
    *("pytest", "pytest-xdist", "pytest-randomly", "pytest-cov", "pytest-timeout", "pytest-rerunfailures"),
)
SHOWN = re.compile(
    r"(CUDA|NVIDIA|HIP|ROCR)_(VISIBLE_DEVICES|DEVICE_ORDER|HOME|LAUNCH_BLOCKING)|LD_LIBRARY_PATH|BNB_CUDA_VERSION"
    r"|(HF_HUB|HF_DATASETS|TRANSFORMERS)_(OFFLINE|CACHE)|HF_HOME|HF_HUB_DISABLE_\w+|HF_HUB_ENABLE_\w+"
    r"|(LOCAL_|GROUP_)?(WORLD_SIZE|RANK)|NCCL_\w+|GLOO_\w+|ACCELERATE_\w+|FSDP_\w+"
    r"|(OMP|MKL|RAYON)_NUM_THREADS|TOKENIZERS_PARALLELISM|PYTORCH_(CUDA_)?ALLOC_CONF|TORCH_CUDA_ARCH_LIST"
    r"|WANDB_(MODE|DISABLED)|PYTHONSAFEPATH|PYTEST_DISABLE_PLUGIN_AUTOLOAD"
)
SECRET = re.compile(r"TOKEN|KEY|SECRET|PASSW|CREDENTIAL|AUTH|_PAT$", re.IGNORECASE)
NAMED = re.compile(  # of these it is only said that they are set
    r"(HF|HUGGING_?FACE|WANDB|COMET|MLFLOW|CLEARML|NEPTUNE|SWANLAB|TRACKIO)_\w+|\w+_PROXY|PYTEST_ADDOPTS", re.IGNORECASE
)
ASKED = ("HF_TOKEN", "WANDB_API_KEY")  # said of these too when they are not set
LOGIN = re.compile(r"(?<=://)[^/\s@]+@")
LABEL = 14


def show(path: Path | None, *, as_json: bool) -> int:
    """Print it and return the exit code.

    Args:
        path: A config, to say what of its run is judged by what.
        as_json: For machines instead of for people.
    """
    try:
        config = load_config(path) if path else None
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 4
    found = clean(inspect(config))
    print(json.dumps(found, indent=1) if as_json else "\n".join(lines(found)))
    return 0


def inspect(config: Config | None) -> dict[str, Any]:
    """Everything that is said, as plain values."""
    installed = machine.installed(*PACKAGES)
    found = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: installed.get(name) for name in PACKAGES},
        **here(config.output_dir if config else Path.cwd()),
        "hub_token": "found" if has_hub_token() else "none",
        "environment": environment(os.environ),
    }
    return found | ({"run": run(config)} if config else {})


def here(output: Path) -> dict[str, Any]:
    """torch and this machine; without torch what can be seen without it."""
    try:
        import torch
    except Exception as error:  # a library that it needs is missing or of another version: OSError, ImportError, …
        torch_build: dict[str, Any] = {"problem": f"torch can't be imported: {error}"}
        target = Target(
            local=True,
            driver=driver.version(),
            driver_cuda=driver.cuda_version(),
            driver_cards=driver.card_names(),
            ram=machine.memory().total,
            disk=machine.free_bytes(output),
            host=machine.host(output),
        )
    else:
        torch_build = {"cuda": torch.version.cuda, "hip": torch.version.hip, "made_for": torch.cuda.get_arch_list()}
        target = local_target(output)
    facts = asdict(target)
    del facts["local"], facts["cuda"]
    assert target.host is not None
    facts["host"]["clock"] = datetime.fromtimestamp(target.host.clock, UTC).isoformat(timespec="seconds")
    facts["host"]["cores_in_total"] = os.cpu_count()
    return {"torch": torch_build, "machine": facts}


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables that matter: the value of a harmless one, `set` for one that can hold a secret."""
    found = dict.fromkeys(ASKED, "not set")
    for name, value in sorted(variables.items()):
        if SHOWN.fullmatch(name) and not SECRET.search(name):
            found[name] = value
        elif NAMED.fullmatch(name):
            found[name] = "set" if value else "empty"
    return found


def has_hub_token() -> bool:
    """Whether the hub's library finds a token: in the environment, or where `hf auth login` saved one."""
    from huggingface_hub import get_token

    return get_token() is not None


def run(config: Config) -> dict[str, Any]:
    """What of a config is judged by what: its machine, how it is spread, what it computes in, what is asked again."""
    from preflight.model.precision import precision_of
    from preflight.strategy import strategy_of

    target = target_of(config)
    try:
        checks = registry.load(map(config.resolve, config.gate.checks))
        again: Any = [code for code, meta in checks.items() if meta.machine and meta.stage == "preflight"]
    except registry.RegistryError as error:
        again = f"can't be told: {error}"
    try:
        precision: Any = asdict(precision_of(config, target))
    except NotAvailable as error:
        precision = f"can't be told: {error}"
    return {
        "config": config.path.name,
        "judged_for": "this machine" if target.local else f"the machine that {config.where('hardware')} describes",
        "cards": [asdict(gpu) for gpu in target.gpus],
        "in_words": in_words(target),
        "cuda": target.cuda,
        "disk": target.disk,
        "strategy": asdict(strategy_of(config, target)),
        "precision": precision,
        "again": again,
    }


def clean(value: Any, variables: Mapping[str, str] = os.environ) -> Any:
    """The value without secrets, log-ins and the home folder's name."""
    secrets = {text for name, text in variables.items() if SECRET.search(name) and len(text) >= 6}
    home = os.path.expanduser("~")

    def strike(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, "(hidden)")
        text = LOGIN.sub("(hidden)@", text)
        return re.sub(rf"{re.escape(home)}(?=/|$|:)", "~", text) if len(home) > 1 else text

    match value:
        case str():
            return strike(value)
        case Mapping():
            return {key: clean(item, variables) for key, item in value.items()}
        case list() | tuple():
            return [clean(item, variables) for item in value]
        case float() if value == float("inf"):
            return "unlimited"
    return value


# --- for people -------------------------------------------------------------------------------------------------------


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The same as text, one fact a line."""
    yield _line("python", f"{found['python']}, {found['platform']}")
    yield "\nPackages"
    for name, version in found["packages"].items():
        if version:
            yield f"  {name} {version}"
    yield "  not installed: " + ", ".join(name for name, version in found["packages"].items() if not version)
    yield from _machine(found["torch"], found["machine"])
    yield "\nEnvironment"
    yield f"  token of the hub: {found['hub_token']}"
    yield from (
        f"  {name}={value}" if value not in STATES else f"  {name} {value}"
        for name, value in found["environment"].items()
    )
    if "run" in found:
        yield from _run(found["run"])


STATES = ("set", "not set", "empty")


def _machine(torch: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    host = found["host"]
    yield "\nMachine"
    if "problem" in torch:
        yield _line("torch", torch["problem"])
    else:
        built = (
            f"CUDA {torch['cuda']}" if torch["cuda"] else f"ROCm {torch['hip']}" if torch["hip"] else "the CPU alone"
        )
        yield _line("torch", f"built for {built}" + (f": {' '.join(torch['made_for'])}" if torch["made_for"] else ""))
    yield _line(
        "driver",
        f"{found['driver'] or 'none'}" + (f", up to CUDA {found['driver_cuda']}" if found["driver_cuda"] else ""),
    )
    if found["problem"]:
        yield _line("problem", found["problem"])
    for gpu in found["gpus"]:
        yield _line("card", _card(gpu))
        for process in gpu["processes"] or ():
            yield _line("", f"used by {process['pid']} {process['name'] or '(unknown)'}: {_gib(process['memory'])}")
    if not found["gpus"]:
        seen = f"; the driver has {', '.join(found['driver_cards'])}" if found["driver_cards"] else ""
        yield _line("card", f"none that torch can use{seen}")
    yield _line("memory", f"{_gib(found['ram'])} that this process may use, {_gib(host['ram_free'])} free")
    yield _line("processors", f"{host['cores']} of {host['cores_in_total']} may be used")
    yield _line("output", f"{_gib(found['disk'])} free on {host['file_system'] or 'an unknown file system'}")
    yield _line("/dev/shm", _gib(host["shm"]))
    yield _line("limits", f"{host['open_files']} open files, {_gib(host['locked_memory'])} of locked memory")
    yield _line("clock", host["clock"])


def _run(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"\nRun of {found['config']}"
    yield _line("judged for", found["judged_for"])
    yield from (_line("card", _card(gpu)) for gpu in found["cards"] or ())
    if not found["cards"]:
        yield _line("card", "none: it trains on the CPU")
    yield _line("CUDA", found["cuda"] or "unknown, or none")
    yield _line("output", f"{_gib(found['disk'])} free")
    for name in ("strategy", "precision"):
        yield _line(name, _pairs(found[name]))
    yield _line("judged again", _pairs(found["again"]) + ", where it trains")


def _card(gpu: Mapping[str, Any]) -> str:
    capability = ".".join(map(str, gpu["capability"])) if gpu["capability"] else "unknown"
    bf16 = {True: "bf16", False: "no bf16", None: "bf16 unknown"}[gpu["bf16"]]
    free = f", {_gib(gpu['free'])} free" if gpu["free"] is not None else ""
    return f"{gpu['name']}: {_gib(gpu['memory'])}{free}, capability {capability}, {bf16}"


def _pairs(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item}" for name, item in value.items() if item is not None)
    return ", ".join(value) if isinstance(value, list) else str(value)


def _gib(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "unknown" if value is None else f"{value / GIB:.2f} GiB"


def _line(label: str, text: str) -> str:
    return f"  {label:{LABEL}}{text}"

import math
import os

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.driver import LAUNCHER
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.strategy import Strategy
from preflight.target import Target

MIB = 2**20
ENOUGH_SHARED = 64 * MIB  # what containers have by default; batches of token ids take a few MiB
FILES = 256  # a worker holds its pipes, the Arrow files and what it inherits


@check("ENV-112", "data-workers", severity="recommended", section=4, item="Dependencies installed")
def data_workers_fit_the_machine(config: Config, target: Target, strategy: Strategy, evidence: Evidence) -> None:
    """Workers that load data have a core each, shared memory and files to open.

    What it checks: `training.dataloader_num_workers` times processes, against this process's cores, `/dev/shm` and the
    limit on open files. Prepared data needs no tokenizer, so `TOKENIZERS_PARALLELISM` doesn't matter here.
    Why it matters: More workers than cores slow a run down; without shared memory they die of a bus error, without
    files of "Too many open files", hours into the run.
    How to fix: Set `training.dataloader_num_workers: 0`: prepared rows are read from memory-mapped files as they are.
    Evidence: torch's documentation of DataLoader asks for `--ipc=host` or `--shm-size` in containers, and warns of more
    workers than cores.
    """
    workers = int(config.training_value("dataloader_num_workers"))
    host = target.host
    if workers == 0:
        not_applicable("training.dataloader_num_workers is 0")
    if host is None:
        not_applicable("hardware describes another machine; the trainer looks there")
    total = workers * strategy.world
    evidence(f"{counted(total, 'worker')}, {counted(host.cores, 'core')}", workers=total, cores=host.cores)
    problems = {
        f"{counted(total, 'worker')} for {counted(host.cores, 'core')}": total > host.cores,
        f"/dev/shm of {(host.shm or 0) // MIB} MiB": host.shm is not None and host.shm < ENOUGH_SHARED,
        f"{host.open_files:.0f} open files allowed": host.open_files < FILES * (total + 1),
    }
    fixes = [
        f"Set training.dataloader_num_workers: {max(host.cores // strategy.world - 1, 0)}.",
        "Start the container with --shm-size=1g, or set training.dataloader_num_workers: 0.",
        f"ulimit -n {2 ** math.ceil(math.log2(FILES * (total + 1)))}, or set training.dataloader_num_workers: 0.",
    ]
    report_findings(
        [
            Finding(
                message,
                where=config.where("training.dataloader_num_workers"),
                observed=message,
                why="Workers slow each other down, or die hours into the run.",
                fix=fix,
            )
            for (message, wrong), fix in zip(problems.items(), fixes, strict=True)
            if wrong
        ]
    )


@check("ENV-113", "launcher", severity="required", section=4, item='Device map: set to "auto" for multi-GPU')
def the_launchers_environment_is_whole(config: Config, target: Target, strategy: Strategy, evidence: Evidence) -> None:
    """What a launcher sets is consistent, and there is a card for each process.

    What it checks: `WORLD_SIZE`, `RANK`, `LOCAL_RANK`, `LOCAL_WORLD_SIZE`, `MASTER_ADDR` and `MASTER_PORT` of this
    process, and processes of this machine against its cards; for cards, that torch has NCCL.
    Why it matters: Half of these variables, left over from another job, make the first process wait for the others
    until a timeout of 30 minutes. Two processes on one card run out of memory, or stop in NCCL.
    How to fix: Start with `torchrun --nproc_per_node N`, and unset what the finding names.
    Evidence: torch's documentation of torchrun and of `init_process_group`.
    """
    launched = {
        name: os.environ[name]
        for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
        if name in os.environ
    }
    if not target.local or not launched.keys() & {"WORLD_SIZE", "RANK", "LOCAL_RANK"}:
        not_applicable("no launcher started this process")
    evidence(", ".join(f"{name}={value}" for name, value in launched.items()), **launched)
    missing = [
        name for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in launched
    ]
    here = int(launched.get("LOCAL_WORLD_SIZE", "1")) if launched.get("LOCAL_WORLD_SIZE", "1").isdigit() else 1
    findings = []
    # The trainer asks again in a process of its own, which is told of the launcher by this alone.
    if missing and strategy.world > 1 and LAUNCHER not in os.environ:
        findings.append(
            Finding(
                f"the launcher's variables are not whole: {', '.join(missing)} missing",
                observed=", ".join(launched),
                why="The first process waits for the others until a timeout.",
                fix=f"Start with torchrun --nproc_per_node N, or unset {', '.join(launched)}.",
            )
        )
    if target.gpus and here > len(target.gpus):
        findings.append(
            Finding(
                f"{here} processes for {counted(len(target.gpus), 'card')}",
                observed=f"LOCAL_WORLD_SIZE={here}",
                expected=f"{len(target.gpus)} or fewer",
                why="Two processes on one card run out of memory, or stop in NCCL.",
                fix=f"Start with torchrun --nproc_per_node {len(target.gpus)}.",
            )
        )
    if target.gpus and strategy.world > 1 and not _has_nccl():
        findings.append(
            Finding(
                "this torch has no NCCL",
                observed="torch.distributed.is_nccl_available() is false",
                why="Processes on cards can't talk to each other.",
                fix="Install torch's CUDA build for Linux.",
            )
        )
    report_findings(findings)


def _has_nccl() -> bool:
    import torch

    return bool(torch.distributed.is_available() and torch.distributed.is_nccl_available())

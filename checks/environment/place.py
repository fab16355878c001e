import os
import tempfile
import time
from pathlib import Path

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.target import Target

NETWORK = ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.goofys", "fuse.rclone", "9p")
DAY = 86_400


@check("ENV-109", "output-writable", severity="required", section=4, item="Save strategy: every epoch or N steps")
def the_output_folder_can_be_written_to(config: Config, target: Target, evidence: Evidence) -> None:
    """`training.output_dir` can be written to.

    What it checks: A file is made and removed in the folder, or in the nearest one that there is.
    Why it matters: The first checkpoint is saved after hours; then a folder that is read-only ends the run.
    How to fix: Give the user of the run write access, or set `training.output_dir` to another folder.
    Evidence: the trainer writes checkpoints, `run.jsonl` and the adapter there.
    """
    if not target.local:
        not_applicable("hardware describes another machine; the trainer tries it there")
    folder = _existing(config.output_dir)
    problem = None
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".preflight-"):
            pass
    except OSError as error:
        problem = error.strerror or str(error)
    evidence(os.path.relpath(folder), folder=str(folder), problem=problem)
    if problem is None:
        return
    report_findings(
        [
            Finding(
                f"{os.path.relpath(folder)} can't be written to: {problem}",
                where=config.where("training.output_dir"),
                observed=problem,
                why="The first checkpoint ends the run.",
                fix="Make it writable for this user, or set training.output_dir to another folder.",
            )
        ]
    )


@check("ENV-110", "output-lasting", severity="recommended", section=4, item="Save strategy: every epoch or N steps")
def the_output_folder_lasts(config: Config, target: Target, evidence: Evidence) -> None:
    """`training.output_dir` is on a disk that outlives the run.

    What it checks: The type of its file system: memory (`tmpfs`, `ramfs`), the writable layer of a container
    (`overlay`), or a network file system.
    Why it matters: What is in memory or in a container's layer goes when they do, the adapter with it. Memory is also
    what the run itself needs. A network file system can be slow to save to, and lose locks.
    How to fix: Set `training.output_dir` to a mounted disk or volume.
    Evidence: tmpfs lives in memory (kernel documentation); a container's writable layer is deleted with it (Docker's
    documentation on storage drivers).
    """
    if target.host is None:
        not_applicable("hardware describes another machine")
    kind = target.host.file_system or "unknown"
    evidence(kind, file_system=kind)
    reasons = {
        "tmpfs": "it is in memory: gone with the next start, and it takes what the run needs",
        "ramfs": "it is in memory: gone with the next start, and it takes what the run needs",
        "overlay": "it is the container's own layer: gone with the container",
    }
    if kind not in reasons:
        return
    report_findings(
        [
            Finding(
                f"the output folder is on {kind}",
                where=config.where("training.output_dir"),
                observed=kind,
                expected="a disk or a volume",
                why=f"{reasons[kind][0].upper()}{reasons[kind][1:]}.",
                fix="Set training.output_dir to a mounted disk or volume.",
            )
        ]
    )


@check("ENV-111", "clock", severity="recommended", section=4, item="Dependencies installed")
def the_clock_is_right(config: Config, target: Target, evidence: Evidence) -> None:
    """The clock is not behind what is on this machine.

    What it checks: The time against that of the config, of the installed preflight and of the files of an earlier run,
    none of which can be from tomorrow.
    Why it matters: Waivers expire by it, and the newest checkpoint is found by it: a run may go on from an old one. TLS
    certificates that aren't valid yet stop every download.
    How to fix: Set the clock: `timedatectl set-ntp true`.
    Evidence: virtual machines that were suspended wake up with the old time.
    """
    if target.host is None:
        not_applicable("hardware describes another machine")
    files = [config.path, Path(__file__), *config.output_dir.glob("*.json*")]
    newest = max(path.stat().st_mtime for path in files if path.exists())
    ahead = newest - target.host.clock
    evidence(time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(target.host.clock)), seconds_behind=max(ahead, 0))
    if ahead < DAY:
        return
    report_findings(
        [
            Finding(
                f"the clock is {ahead / DAY:.0f} days behind a file on this machine",
                observed=time.strftime("%Y-%m-%d", time.gmtime(target.host.clock)),
                expected=time.strftime("%Y-%m-%d or later", time.gmtime(newest)),
                why="Waivers expire by it, and the newest checkpoint is found by it.",
                fix="Set the clock: timedatectl set-ntp true.",
            )
        ]
    )


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path

"""Write the generated pages of the documentation: one a check, their index, and the config reference.

python scripts/docs.py            write them
python scripts/docs.py --check    exit 1 if any is out of date, naming it
"""

import argparse
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from config_words import LIBRARIES, SECTIONS_ABOUT, WORDS

from preflight.config import evaluation, libraries, sections
from preflight.config.wording import describe
from preflight.registry import SECTIONS, Check, shipped

ROOT = Path(__file__).parent.parent
FIELDS = re.compile(r"^(\S+ \S+) has:\n\n.+$", re.MULTILINE)
BLOCKS = {
    "required": "blocks the run",
    "recommended": "warns; blocks under `--preflight-strict`",
    "advice": "never blocks",
}

OWN: dict[str, type[sections.SectionModel]] = {
    "task": sections.Task,
    "model": sections.Model,
    "data": sections.Data,
    "hardware": sections.Hardware,
    "gate": sections.Gate,
    "evaluation": evaluation.Evaluation,
    "deployment": sections.Deployment,
}

PARTS: dict[str, type[sections.SectionModel]] = {
    "metrics.NAME": evaluation.Demand,
    "format": evaluation.Format,
    "lm_eval": evaluation.LmEval,
    "server": evaluation.Server,
}


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """Write or compare the pages; 1 if `--check` found one out of date."""
    parser = argparse.ArgumentParser(description="Write the generated pages of the documentation.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is out of date")
    check = parser.parse_args(argv).check
    docs = root / "docs"
    wanted = {docs / name: text for name, text in pages()}
    stale = [path for path in sorted((docs / "checks").glob("*.md")) if path not in wanted]
    if check:
        changed = [path for path, text in wanted.items() if not _current(path, text)]
        for path in changed + stale:
            print(f"{path.relative_to(root)} is out of date", file=sys.stderr)
        if changed or stale:
            print("run: python scripts/docs.py", file=sys.stderr)
        return 1 if changed or stale else 0
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in stale:
        path.unlink()
    print(f"{len(wanted)} pages written, {len(stale)} deleted")
    return 0


def pages() -> Iterator[tuple[str, str]]:
    """Every generated page as (path below docs/, text)."""
    checks = list(shipped().values())
    yield "checks/index.md", index_page(checks)
    for meta in checks:
        yield f"checks/{meta.code}.md", check_page(meta)
    yield "config.md", config_page()


def index_page(checks: list[Check]) -> str:
    """The table of all checks, in the checklist's order."""
    lines = [
        "# Checks",
        "",
        "The checklist, in its own order. `required` blocks the run, `recommended` warns (and blocks under",
        "`--preflight-strict`), `advice` never blocks. Sections 0 to 4 are judged by `pytest --preflight`, the others",
        "by `pytest --postflight`. `preflight explain CODE` shows a page in the terminal.",
    ]
    for section, title in SECTIONS.items():
        rows = [meta for meta in checks if meta.section == section]
        if not rows:
            continue
        lines += [
            "",
            f"## {section} {title}",
            "",
            "| Code | Name | Severity | What must hold |",
            "| --- | --- | --- | --- |",
        ]
        lines += [
            f"| [{meta.code}]({meta.code}.md) | {meta.name} | {meta.severity} | {cell(meta.summary)} |" for meta in rows
        ]
    return "\n".join(lines) + "\n"


def check_page(meta: Check) -> str:
    """The page of one check, from its metadata and docstring."""
    facts = {
        "Severity": f"{meta.severity}: {BLOCKS[meta.severity]}",
        "Judged by": f"`pytest --{meta.stage}`{', and once more by `preflight train`' if meta.machine else ''}",
        "Section": f"{meta.section} {SECTIONS[meta.section]}",
        "Checklist item": cell(meta.item),
        "Can be waived": "yes" if meta.waivable else "no, nor can its severity be lowered",
    }
    lines = [f"# {meta.code} {meta.name}", "", prose(meta.summary), "", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in facts.items()]
    for heading, text in meta.docs.items():
        lines += ["", f"## {heading}", "", prose(text)]
    if meta.thresholds:
        lines += ["", "## Thresholds", "", "With their defaults, as the config would change them:", "", "```yaml"]
        lines += ["gate:", "  thresholds:", f"    {meta.code}:"]
        lines += [f"      {name}: {_yaml(value)}" for name, value in meta.thresholds.items()]
        lines += ["```"]
    return "\n".join(lines) + "\n"


def config_page() -> str:
    """The config reference: our sections from their models, the libraries' from the installed libraries."""
    lines = [
        "# Config reference",
        "",
        "One YAML file (YAML 1.2) describes a run. Paths are relative to the file. A key that isn't known is an error,",
        "named with its line and the nearest key that is. `preflight init` writes a config to start from.",
    ]
    for name, about in SECTIONS_ABOUT.items():
        lines += ["", f"## {name}", "", about]
        if name in libraries.SOURCES:
            lines += library_lines(name)
        elif name in OWN:
            lines += ["", *table(name, OWN[name])]
        if name == "gate":
            lines += ["", "Each entry of `waivers`:", "", *table("gate.waivers", sections.Waiver)]
        if name == "evaluation":
            for key, model in PARTS.items():
                lines += ["", f"`{key}`:", "", *table(f"evaluation.{key}", model)]
    return "\n".join(lines) + "\n"


def table(section: str, model: type[sections.SectionModel]) -> list[str]:
    """Keys, types, defaults and meanings of one of our sections.

    Raises:
        SystemExit: a key has no words in `config_words.py`, or words are about a key that is gone.
    """
    words = WORDS[section]
    if missing := sorted(words.keys() ^ model.model_fields.keys()):
        raise SystemExit(f"scripts/config_words.py and the section {section} differ in: {', '.join(missing)}")
    lines = ["| Key | Value | Default | Meaning |", "| --- | --- | --- | --- |"]
    for name, info in model.model_fields.items():
        default = "required" if info.is_required() else f"`{_yaml(info.get_default(call_default_factory=True))}`"
        lines.append(f"| `{name}` | {cell(describe(info.rebuild_annotation()))} | {default} | {words[name]} |")
    return lines


def library_lines(section: str) -> list[str]:
    """The fields of a library's section, with the version they were read from, and where the library explains them."""
    package, link = LIBRARIES[section]
    names = ", ".join(f"`{name}`" for name in sorted(libraries.fields(section)))
    return ["", f"What each of them means: {link}", "", f"{package} {metadata.version(package)} has:", "", names]


def prose(text: str) -> str:
    """A docstring's paragraph as Markdown: on one line, `<` shown as it is, other projects' issues linked."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else _linked(part.replace("<", "&lt;")) for part in parts)


def cell(text: str) -> str:
    return prose(text).replace("|", "\\|")


def _linked(text: str) -> str:
    return re.sub(r"\b([\w.-]+/[\w.-]+)#(\d+)", r"[\1#\2](https://github.com/\1/issues/\2)", text)


def _yaml(value: object) -> str:
    """A value as YAML writes it on one line."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case list() | tuple():
            return f"[{', '.join(map(_yaml, value))}]"
        case dict():
            return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    return str(value)


def _current(path: Path, text: str) -> bool:
    """Whether a page says what it should. Fields of another version of a library pass: they were right there."""
    there = path.read_text(encoding="utf-8") if path.is_file() else ""
    if FIELDS.findall(there) != FIELDS.findall(text):
        there, text = FIELDS.sub("", there), FIELDS.sub("", text)
    return there == text


if __name__ == "__main__":
    sys.exit(main())

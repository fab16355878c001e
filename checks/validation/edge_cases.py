from typing import Any

from preflight import Finding, check, report_findings
from preflight.evaluation.budget import Sampled
from preflight.evaluation.edges import Edge, Said
from preflight.fixtures import Evidence


@check(
    "POST-116",
    "unusual-prompts",
    severity="recommended",
    section=6,
    item="Edge cases: handles unusual inputs gracefully",
    thresholds={"max_fraction": 0.2},
)
def the_model_copes_with_unusual_prompts(edges: Sampled[Edge], evidence: Evidence, limits: Any) -> None:
    """The trained model copes with unusual prompts at least as well as its base.

    What it checks: Greedy answers of both to prompts that are empty, blank, in other scripts, of emoji or control
    characters, past training.max_length, of many turns, not to be answered, or that smuggle in a turn; and to those of
    `evaluation.edge_cases`, JSON Lines of {"name", "prompt"} or {"name", "messages"}. An answer is at fault if the
    model crashes or its logits are no numbers; if it goes round in circles, holds a control token or the marker of a
    turn, or is its prompt over again; or obeys a smuggled turn that the base withstands. What it says doesn't matter.
    Faults that the base has too are noted only. Any crash and any fault in a case of yours is reported. Of the others
    there may be more in which it is worse than its base than in which it is better, by a share of all cases, rounded
    to whole cases: by three of fifteen.
    Why it matters: Users send such prompts on the first day, and no training example looks like them.
    How to fix: Add examples of the kind that fails, with the answer you want, to data.train, or train fewer epochs.
    Where a smuggled turn is obeyed, remove special tokens from what users send before the template is applied.
    Evidence: the checklist's section 6. Prompts take up to the model's context, 2 times training.max_length or 2,048
    tokens, whichever is least, and answers 64 tokens, so that a CPU can do it in time. Threshold: a fifth of the cases;
    small models go round in circles over a nonsensical prompt now and then, and so does their base.
    """
    worse = [edge for edge in edges if edge.worse]
    shared = [edge.name for edge in edges if edge.tuned.fault and not edge.worse]
    base = sum(edge.base.fault is not None for edge in edges)
    evidence(
        f"{len(edges) - len(worse) - len(shared)} of {len(edges)} unusual prompts handled (base: {len(edges) - base})"
        f"{edges.note}",
        cases=len(edges),
        wanted=edges.wanted,
        worse_than_base=[edge.name for edge in worse],
        better_than_base=[edge.name for edge in edges if edge.better],
        as_bad_as_base=shared,
    )
    grave = [edge for edge in worse if edge.own or edge.tuned.fatal]
    others = [edge for edge in worse if edge not in grave]
    better = sum(edge.better for edge in edges)
    many = len(others) - better > round(limits.max_fraction * len(edges))
    seen = f"of {len(edges)} cases {len(worse)} are worse than the base's, {better} better"
    report_findings(
        Finding(
            f"{edge.name}: {told(edge.tuned)}",
            where=edge.own or None,
            observed=f"prompt {edge.prompt[:60]!r}; {seen}",
            expected="as good an answer as the base's"
            if edge in grave
            else f"at most {limits.max_fraction:.0%} more that are worse than that are better",
            why="Users send such prompts, and get this.",
            fix="Add examples like it to data.train with the answer you want, or train fewer epochs.",
        )
        for edge in (*grave, *(others if many else ()))
    )


def told(said: Said) -> str:
    """What is wrong, with the beginning of the answer."""
    return f"the prompt {said.fault}" if said.fatal else f"the answer {said.fault}: {said.text[:80]!r}"

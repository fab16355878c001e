"""Problems of a split's rows, so that a fault that many rows have is said once."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from preflight.findings import counted

MAX_PROBLEMS = 200  # of one kind that are listed; more are counted
Problem = Mapping[str, str]


def grouped(problems: Iterable[Problem], fault: Callable[[Problem], Hashable]) -> list[list[Problem]]:
    """The problems by fault, in the order of their first rows."""
    groups: dict[Hashable, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(fault(problem), []).append(problem)
    return list(groups.values())


def examples(problems: Sequence[Problem], listed: Sequence[Problem]) -> str:
    """How many rows have the problem, and where the first few of them are.

    Args:
        problems: Those of one fault.
        listed: All of the kind that were listed, to know whether there may be more.
    """
    more = ", …" if len(problems) > 5 else ""
    number = f"{'at least ' if len(listed) >= MAX_PROBLEMS else ''}{counted(len(problems), 'row')}"
    return f"{number}: {', '.join(problem['where'] for problem in problems[:5])}{more}"

"""A batch of examples on its way into the prepared data."""

from collections.abc import Sequence
from dataclasses import dataclass

from preflight.data.label import Labelled
from preflight.data.readers import Row
from preflight.data.render import Rendered
from preflight.data.shapes import Example


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows, one place each in every attribute.

    Attributes:
        numbers: Each row's number among all rows of the split's files.
        rows: As they stand in the file.
        examples: In normal form.
        rendered: As text.
        labelled: As ids, before truncation.
    """

    numbers: Sequence[int]
    rows: Sequence[Row]
    examples: Sequence[Example]
    rendered: Sequence[Rendered]
    labelled: Labelled

    def __len__(self) -> int:
        return len(self.numbers)

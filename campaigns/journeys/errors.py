"""What can be wrong with a journey as it was written."""

from core.condition.check import ConditionError
from core.errors import InvalidError


class JourneyError(InvalidError):
    """The journey cannot be understood."""

    code = "journey"

    def __init__(
        self,
        message: str,
        *,
        line: int | None = None,
        column: int | None = None,
        field: str | None = None,
        remedy: str | None = None,
    ) -> None:
        """Say what is wrong: at a line and column of a text, or at a path of JSON (`field`)."""
        place = f"{line}" if column is None else f"{line}:{column}"
        where = place if line is not None else field
        super().__init__(
            message if line is None else f"Line {line}: {message}", field=where, remedy=remedy
        )
        self.line = line
        self.column = column

    @classmethod
    def of(cls, error: ConditionError, field: str | None = None) -> "JourneyError":
        """Return what is wrong with a part of a journey as an error of the journey."""
        if error.line is None:
            return cls(str(error), field=field, remedy=error.remedy)
        message = str(error).removesuffix(f" (line {error.line}, column {error.column})")
        return cls(message, line=error.line, column=error.column, remedy=error.remedy)

    @property
    def sentence(self) -> str:
        """What is wrong and what to do: `Line 30: “snd” is not a step. Did you mean “send”?`."""
        said = f"{self}."
        if self.remedy is None:
            return said
        end = "" if self.remedy.endswith("?") else "."
        return f"{said} {self.remedy[:1].upper()}{self.remedy[1:]}{end}"

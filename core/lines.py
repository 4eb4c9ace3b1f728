"""Lines: where a text breaks that has to be one line, as whatever may become a header has to."""


def line_break(text: str) -> int | None:
    """Return where a text has its first line break, of any kind."""
    lines = text.splitlines()
    return len(lines[0]) if lines and len(lines[0]) < len(text) else None

"""Logging: ids and counts, as lines for people or as JSON; never an address, body or secret.

Callers log ids. What slips through, from us or from a library, is masked on its way out: every
value of every record, tracebacks included. SDKs that log URLs and headers at INFO are pinned to
WARNING, and so are libraries that tell of every tick and every ring.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import structlog
from structlog.typing import EventDict, Processor

if TYPE_CHECKING:
    from core.settings import Settings

TALKATIVE = (
    "twilio", "sendgrid", "urllib3", "python_http_client", "alembic", "apscheduler", "celery",
)  # fmt: skip
HIDDEN = "***"
MAX_DEPTH = 6
MULTILINE = frozenset({"exception", "stack"})
"""Values that may keep their line breaks; elsewhere one could forge a line."""

SECRET_NAME = re.compile(
    r"(?i)(password|passwd|secret|token|api[_-]?key|private[_-]?key|authorization|cookie|"
    r"credential|signature)"
).search
ASSIGNMENT = re.compile(
    r"(?i)((?:password|passwd|secret|token|api[_-]?key|private[_-]?key|signature)"
    r"[\"']?\s{0,9}[=:]\s{0,9}[\"']?)[^\s\"',;&}\])]+"
)
MASKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)", re.S), "***"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), r"\1 ***"),
    (re.compile(r"(://)[^/\s@]+@"), r"\1***@"),
    (ASSIGNMENT, r"\1***"),
    (re.compile(r"\b(e[xs]_)[A-Za-z0-9]+_[\w-]{8,}"), r"\1***"),
    (re.compile(r"\bSG\.[\w-]{8,}\.[\w-]{8,}"), "SG.***"),
    (re.compile(r"(/(?:webhooks/\w+|[cou])/)[\w-]{12,}"), r"\1***"),
    (re.compile(r"[\w.!#$&'*+/=?^`{|}~-]{1,64}(?:@|%40)[\w-]+(?:\.[\w-]+)+"), "***@***"),
    (re.compile(r"(?:\+|%2[Bb])\d(?:[ ().-]{0,2}\d){6,14}"), "+***"),
    (re.compile(r"(?<![\w.-])\(?[2-9]\d{2}\)?[ .-]{1,2}\d{3}[ .-]\d{4}(?![\w-])"), "+***"),
)
CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")


def redact(text: str) -> str:
    """Return `text` with addresses, numbers, credentials and public-link tokens masked."""
    for pattern, mask in MASKS:
        text = pattern.sub(mask, text)
    return text


def get(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; pass `__name__`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def configure(settings: "Settings") -> None:
    """Send our records and the libraries' through one masking pipeline to standard error.

    Calling it again replaces what it set up before.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    handler = _Handler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _redacted,
                _renderer(settings.log_format),
            ],
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.log_level)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


class _Handler(logging.StreamHandler[Any]):
    """Standard error as it is when a record comes, not as it was at configure time."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr


def _renderer(log_format: str) -> Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        # Its default prints the local variables of every frame, secrets included.
        exception_formatter=structlog.dev.plain_traceback,
    )


def _redacted(logger: Any, method: str, event: EventDict) -> EventDict:
    del logger, method
    return {
        key: redact(value)
        if key in MULTILINE and isinstance(value, str)
        else _masked(key, value, 0)
        for key, value in event.items()
    }


def _masked(key: str, value: Any, depth: int) -> Any:
    """Mask one value of a record, looking into lists and mappings."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if SECRET_NAME(key) or depth > MAX_DEPTH:
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(each): _masked(str(each), value[each], depth + 1) for each in value}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(key, each, depth + 1) for each in value]
    text = value if isinstance(value, str) else repr(value)
    return CONTROLS.sub(lambda match: ascii(match[0])[1:-1], redact(text))

"""Exposition: metrics as the text that Prometheus reads (text format 0.0.4)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "echelonx_"
ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(slots=True)
class Metric:
    """One metric and its samples: labels and value each."""

    name: str
    """Without the prefix. One whose name ends in `_total` is a counter, others are gauges."""
    about: str
    samples: list[tuple[Mapping[str, str], float]] = field(default_factory=list)

    def add(self, value: float, **labels: object) -> None:
        """Add a sample."""
        self.samples.append(({key: str(label) for key, label in labels.items()}, value))


def metric(name: str, about: str, value: float | None) -> Metric:
    """Return a metric of one sample without labels; none at all where nobody can tell."""
    made = Metric(name, about)
    if value is not None:
        made.add(value)
    return made


def text_of(metrics: Iterable[Metric]) -> str:
    """Return the page."""
    return "".join(f"{line}\n" for one in metrics for line in _lines(one))


def _lines(one: Metric) -> Iterable[str]:
    name = f"{PREFIX}{one.name}"
    yield f"# HELP {name} {one.about}"
    yield f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}"
    for labels, value in one.samples:
        pairs = ",".join(f'{key}="{text.translate(ESCAPES)}"' for key, text in labels.items())
        yield f"{name}{{{pairs}}} {_number(value)}" if pairs else f"{name} {_number(value)}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"

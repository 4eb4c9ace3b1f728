"""Body: the steps of a journey, read line by line with what stands below them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from campaigns.journeys import normal
from campaigns.journeys.ast import (
    MEMBER_TIME,
    Arm,
    Branch,
    Call,
    Case,
    Check,
    Content,
    Digest,
    Elevate,
    Exit,
    GoTo,
    Happens,
    Option,
    Replies,
    Send,
    Set,
    Split,
    Stage,
    Step,
    Tag,
    Wait,
    WaitFor,
    WaitTime,
    Webhook,
)
from campaigns.journeys.duration import WEEKDAYS
from campaigns.journeys.head import HEAD, happens, is_head, replies
from campaigns.journeys.line import Line
from campaigns.journeys.spelling import MAX_LEVELS, MAX_STEPS
from core.condition.ast import Condition, Kind, Op
from core.condition.leaf import Known
from core.condition.text import condition


@dataclass(slots=True)
class Body:
    """Reads steps, and hands each the comments above it."""

    known: Known | None
    comments: list[str] = field(default_factory=list)
    """Those that no step has taken yet."""
    lines: list[int] = field(default_factory=list)
    """The line, from 1, of each step in the order of the text."""

    def step(self, line: Line, level: int = 1) -> Step:
        """Read a step and those inside it. Raises ConditionError."""
        self._may_stand(line, level)
        comments = self._comments(line)
        self.lines.append(line.number)
        step = self._first_line(line, comments)
        return self._filled(step, line, level)

    def _may_stand(self, line: Line, level: int) -> None:
        start, word = line.start, line.next.word
        if is_head(line):
            raise line.error(
                f"“{'exit when' if word == 'exit' else word}” stands above the first step",
                start.start,
                "move it there",
            )
        if word in BELOW or start.kind == "number":
            what = BELOW.get(word, "a split")
            raise line.error(f"“{start.text}” belongs right below {what}", start.start)
        if word not in READ:
            raise line.wrong(f"“{start.text[:40]}” is not a step", (*READ, *HEAD))
        if level > MAX_LEVELS:
            raise line.error(
                f"steps stand more than {MAX_LEVELS} deep in each other",
                start.start,
                "make a journey of a part and call it",
            )
        if len(self.lines) >= MAX_STEPS:
            raise line.error(
                f"there are more than {MAX_STEPS} steps", start.start, "call another journey"
            )

    def _comments(self, line: Line) -> tuple[str, ...]:
        taken = (*self.comments, *line.comments)
        self.comments.clear()
        return taken

    def _first_line(self, line: Line, comments: tuple[str, ...]) -> Step:
        step = READ[line.take().word](line, self.known)
        name = None
        if line.word("as"):
            if line.next.kind != "word":
                raise line.expected("a name")
            token = line.take()
            name = line.checked(token, lambda: normal.step_name(token.word))
        line.end()
        named = replace(step, name=name, comments=comments)
        return line.checked(line.start, lambda: normal.step(named))

    # ---- what stands below

    def _filled(self, step: Step, line: Line, level: int) -> Step:
        match step:
            case Stage():
                return replace(step, steps=self._block(line, level))
            case Branch():
                return self._branch(step, line, level)
            case Split():
                return self._split(step, line, level)
            case WaitFor():
                return self._ways(step, line, level)
            case _:
                self._nothing(line.below, f"“{line.start.text}”")
                return step

    def _nothing(self, below: Sequence[Line], what: str) -> None:
        if below:
            message = f"nothing stands below {what}"
            raise below[0].error(message, below[0].start.start, "put fewer spaces before it")

    def _block(self, line: Line, level: int) -> tuple[Step, ...]:
        return tuple(self.step(one, level + 1) for one in line.below)

    def _way(self, line: Line, level: int) -> tuple[Step, ...]:
        """Read the steps below a line that is itself no step; its comments wait for the next."""
        line.end()
        self.comments += line.comments
        return self._block(line, level)

    def _branch(self, step: Branch, line: Line, level: int) -> Step:
        cases: list[Case] = []
        otherwise = None
        for one in line.below:
            if otherwise is not None:
                raise one.wrong("nothing stands below the “else” of a branch")
            if one.word("if"):
                test = condition(one, self.known)
                cases.append(Case(test, self._way(one, level)))
            elif one.word("else"):
                otherwise = self._way(one, level)
            else:
                raise one.expected("“if” or “else”", ("if", "else"))
        if not cases:
            raise line.error("a branch has at least one “if”", line.start.start)
        return replace(step, cases=tuple(cases), otherwise=otherwise or ())

    def _split(self, step: Split, line: Line, level: int) -> Step:
        arms = []
        for one in line.below:
            arms.append(Arm(_share(one), self._way(one, level)))
        if len(arms) < 2:
            message = "a split has at least two ways"
            raise line.error(message, line.start.start, "put shares such as 50 below it")
        return replace(step, arms=tuple(arms))

    def _ways(self, step: WaitFor, line: Line, level: int) -> Step:
        ways: dict[str, tuple[Step, ...]] = {}
        for one in line.below:
            word = one.one_of(("then", "else"))
            if word is None:
                raise one.expected("“then” or “else”", ("then", "else"))
            if word in ways:
                raise one.error(f"“{word}” stands here twice", one.start.start)
            ways[word] = self._way(one, level)
        return replace(step, then=ways.get("then", ()), otherwise=ways.get("else", ()))


BELOW = {"if": "a branch", "else": "a branch or a wait", "then": "a wait"}


def _send(line: Line, known: Known | None) -> Step:
    options = [_option(line)]
    while line.word("or"):
        options.append(_option(line))
    return Send(options=tuple(options))


def _option(line: Line) -> Option:
    channel = line.channel()
    contents = [_content(line)]
    while line.word("/"):
        contents.append(_content(line))
    return Option(channel, tuple(contents))


def _content(line: Line) -> Content:
    template = line.named("a template's name")
    return Content(template, _share(line) if line.next.kind == "number" else 1)


def _share(line: Line) -> int:
    start = line.next
    weight = line.whole("a share such as 50")
    return line.checked(start, lambda: normal.number(weight, "a share"))


def _wait(line: Line, known: Known | None) -> Step:
    if not line.word("until"):
        return Wait(over=line.over())
    if line.next.kind == "time" or line.next.word in WEEKDAYS:
        weekday = line.weekday()
        return WaitTime(at=line.at(), weekday=weekday, zone=line.zone(MEMBER_TIME))
    what = _awaited(line, known)
    return WaitFor(what=what, timeout=_timeout(line) if line.word("or") else None)


def _timeout(line: Line) -> timedelta:
    if line.next.kind == "word":
        raise line.error(
            f"a duration such as 3d was expected, not {line.next.text[:40]}",
            line.next.start,
            "a wait looks out for one thing; behind “or” stands how long: or 3d",
        )
    return line.over()


def _awaited(line: Line, known: Known | None) -> Happens | Replies | Condition:
    if line.word("event"):
        return happens(line)
    if line.word("reply"):
        return replies(line)
    return condition(line, known)


def _branch(line: Line, known: Known | None) -> Step:
    return Branch(cases=())


def _split(line: Line, known: Known | None) -> Step:
    return Split(arms=())


def _set(line: Line, known: Known | None) -> Step:
    field = line.field()
    if line.word("to"):
        line.need("nothing")
        return Set(field=field, value=None)
    line.need("=")
    value = line.single(Op.EQ, Kind.ANY)
    if not isinstance(value, str | int | float | bool):
        raise AssertionError(value)
    return Set(field=field, value=value)


def _tag(line: Line, known: Known | None) -> Step:
    return Tag(tag=line.string())


def _untag(line: Line, known: Known | None) -> Step:
    return Tag(tag=line.string(), remove=True)


def _webhook(line: Line, known: Known | None) -> Step:
    return Webhook(url=line.string())


def _check(line: Line, known: Known | None) -> Step:
    return Check(condition=condition(line, known))


def _exit(line: Line, known: Known | None) -> Step:
    return Exit(reason=line.named("a reason") if line.next.kind == "text" else None)


def _stage(line: Line, known: Known | None) -> Step:
    names: Iterable[str] = [stage.casefold() for stage in Elevate]
    found = line.one_of(names)
    if found is None:
        raise line.expected("an Elevate step", names)
    return Stage(stage=Elevate(found.capitalize()), steps=())


def _digest(line: Line, known: Known | None) -> Step:
    event = happens(line)
    line.need("over")
    if event != Happens(event.event):
        raise line.error("a digest takes all events of a name", line.start.start)
    return Digest(event=event.event, over=line.over())


def _call(line: Line, known: Known | None) -> Step:
    return Call(journey=line.named("a journey's name"), wait=line.word("and", "wait"))


def _go(line: Line, known: Known | None) -> Step:
    line.need("to")
    if line.next.kind != "word":
        raise line.expected("the name of a step")
    token = line.take()
    target = line.checked(token, lambda: normal.target(token.text))
    line.need("at", "most")
    most = line.whole("a number of times")
    if not line.word("times"):
        line.need("time")
    return GoTo(target=target, most=most)


READ: dict[str, Callable[[Line, Known | None], Step]] = {
    "send": _send,
    "wait": _wait,
    "branch": _branch,
    "split": _split,
    "set": _set,
    "tag": _tag,
    "untag": _untag,
    "webhook": _webhook,
    "check": _check,
    "exit": _exit,
    "stage": _stage,
    "digest": _digest,
    "call": _call,
    "go": _go,
}

"""Comparison: which step of one version is which of another, and what changed, in words.

Steps are matched in the order of the text, so that as much as possible stays what it is: by name,
by what they say, by key. Then those that are still there but stand elsewhere are matched, as moved;
and last the same kind of step in the same place, between the same neighbours.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from campaigns.journeys.ast import Branch, Elevate, Journey, Option, Send, Split, Stage, Step
from campaigns.journeys.errors import JourneyError
from campaigns.journeys.program import blocks, program
from campaigns.journeys.spelling import format, line
from campaigns.journeys.wording import Wordings
from channels.channel import Channel
from core.condition.spelling import format as format_condition

CAPITALS = (Channel.SMS, Channel.MMS)
NAMED, UNCHANGED, SAID, KEYED = 8, 5, 4, 2
"""How much two steps are alike, so that the best of all matches in order can be found."""


class Does(StrEnum):
    """What a change does."""

    ADDS = "adds"
    REMOVES = "removes"
    CHANGES = "changes"
    MOVES = "moves"
    RENAMES = "renames"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference; keys where it is about a step."""

    does: Does
    text: str
    """`adds wait 1d in Gift`."""
    old: str | None = None
    new: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of the steps of one version in another."""

    steps: Mapping[str, str]
    """The new key of each old step that is still there."""
    unchanged: frozenset[str]
    """The old keys of those that say the same as before."""
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class _Placed:
    """One step and where it stands."""

    key: str
    step: Step
    said: str
    around: tuple[tuple[str, int], ...]
    """The kinds of the blocks it stands in, and which block of each."""
    stage: Elevate | None


def compare(
    before: Journey,
    after: Journey,
    wordings_before: Wordings | None = None,
    wordings_after: Wordings | None = None,
) -> Comparison:
    """Return which steps match and what changed; with wordings also texts that were changed.

    Raises JourneyError where two steps of one version have one name.
    """
    old, new = _placed(before), _placed(after)
    pairs = _aligned(old, new, _likeness)
    moved = _moved(old, new, pairs)
    matched = _same_kind(old, new, pairs, moved) + moved
    texts = _texts(wordings_before), _texts(wordings_after)
    return Comparison(
        steps={old[i].key: new[j].key for i, j in matched},
        unchanged=frozenset(old[i].key for i, j in matched if old[i].said == new[j].said),
        changes=(
            *_head_changes(before, after),
            *_removed(old, {i for i, _ in matched}),
            *_others(old, new, {j: i for i, j in matched}, {j for _, j in moved}, texts),
        ),
    )


def said(step: Step) -> str:
    """Return a step's own line, without its name; of a branch also what it asks."""
    text = line(replace(step, name=None))
    match step:
        case Branch(cases=cases):
            asked = " / ".join(format_condition(case.condition) for case in cases)
            return f"{text} if {asked}"
        case Split(arms=arms):
            return f"{text} {'/'.join(str(arm.weight) for arm in arms)}"
        case _:
            return text


# ---- which is which


def _placed(journey: Journey) -> list[_Placed]:
    nodes = program(journey).nodes
    places = list(_places(journey.steps))
    if len(places) != len(nodes):
        raise JourneyError(
            "two steps have one name", field="steps", remedy="give each a name of its own"
        )
    return [
        _Placed(key, node.step, said(node.step), around, node.stage)
        for (key, node), around in zip(nodes.items(), places, strict=True)
    ]


def _places(
    steps: Sequence[Step], around: tuple[tuple[str, int], ...] = ()
) -> Iterator[tuple[tuple[str, int], ...]]:
    for step in steps:
        yield around
        for number, block in enumerate(blocks(step)):
            yield from _places(block, (*around, (type(step).__name__, number)))


Likeness = Callable[[_Placed, _Placed], int]


def _likeness(old: _Placed, new: _Placed) -> int:
    if type(old.step) is not type(new.step):
        return 0
    if old.step.name and old.step.name == new.step.name:
        return NAMED
    if old.said == new.said:
        return UNCHANGED if old.key == new.key else SAID
    return KEYED if old.key == new.key else 0


def _aligned(
    old: Sequence[_Placed], new: Sequence[_Placed], likeness: Likeness
) -> list[tuple[int, int]]:
    """Return the pairs, in order on both sides, that are most alike together."""
    alike = [[likeness(one, other) for other in new] for one in old]
    best = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i in reversed(range(len(old))):
        for j in reversed(range(len(new))):
            both = alike[i][j] and alike[i][j] + best[i + 1][j + 1]
            best[i][j] = max(both, best[i + 1][j], best[i][j + 1])
    pairs = []
    i = j = 0
    while i < len(old) and j < len(new):
        if alike[i][j] and best[i][j] == alike[i][j] + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _moved(
    old: Sequence[_Placed], new: Sequence[_Placed], pairs: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Return pairs of steps that say the same and stand elsewhere."""
    kept, taken = {i for i, _ in pairs}, {j for _, j in pairs}
    free = [j for j in range(len(new)) if j not in taken]
    found = []
    for i in (i for i in range(len(old)) if i not in kept):
        match = next((j for j in free if _likeness(old[i], new[j]) >= SAID), None)
        if match is not None:
            found.append((i, match))
            free.remove(match)
    return found


def _same_kind(
    old: Sequence[_Placed],
    new: Sequence[_Placed],
    pairs: Sequence[tuple[int, int]],
    moved: Sequence[tuple[int, int]],
) -> list[tuple[int, int]]:
    """Return the pairs that stand in order, and between them those of one kind in one place."""
    fixed = {(old[i].key, new[j].key) for i, j in pairs}
    bound = {old[i].key for i, _ in [*pairs, *moved]}, {new[j].key for _, j in [*pairs, *moved]}

    def likeness(one: _Placed, other: _Placed) -> int:
        if (one.key, other.key) in fixed:
            return len(old)  # more than all of one kind together
        if one.key in bound[0] or other.key in bound[1] or one.around != other.around:
            return 0
        return int(type(one.step) is type(other.step))

    return _aligned(old, new, likeness)


# ---- in words


def _head_changes(before: Journey, after: Journey) -> Iterator[Change]:
    if before.name != after.name:
        yield Change(Does.RENAMES, f"renames the journey to “{after.name}”")
    old, new = _head(before), _head(after)
    added = [text for text in new if text not in old]
    for text in (text for text in old if text not in new):
        word = text.split()[0]
        instead = next((one for one in added if one.split()[0] == word), None)
        if instead is None:
            yield Change(Does.REMOVES, f"removes {text}")
        else:
            added.remove(instead)
            yield Change(Does.CHANGES, f"changes {text} to {instead}")
    for text in added:
        yield Change(Does.ADDS, f"adds {text}")


def _head(journey: Journey) -> list[str]:
    text = format(replace(journey, steps=(), comments=(), ending=()))
    return [one.strip() for one in text.splitlines()[1:]]


def _removed(old: Sequence[_Placed], kept: set[int]) -> Iterator[Change]:
    for i, one in enumerate(old):
        if i not in kept:
            yield Change(Does.REMOVES, f"removes {one.said}{_in_stage(one)}", old=one.key)


def _in_stage(one: _Placed) -> str:
    return f" in {one.stage}" if one.stage and not isinstance(one.step, Stage) else ""


Texts = Mapping[tuple[Channel, str], int]


def _others(
    old: Sequence[_Placed],
    new: Sequence[_Placed],
    was: Mapping[int, int],
    moved: set[int],
    texts: tuple[Texts, Texts],
) -> Iterator[Change]:
    """Tell of the steps of the new version, in its order."""
    for j, one in enumerate(new):
        where = _in_stage(one) or (f" behind {new[j - 1].key}" if j else " at the beginning")
        if j not in was:
            yield Change(Does.ADDS, f"adds {one.said}{where}", new=one.key)
            continue
        before = old[was[j]]
        if j in moved or _ways(before) != _ways(one):
            place = f" behind {new[j - 1].key}" if j else " to the beginning"
            yield Change(Does.MOVES, f"moves {one.key}{place}", before.key, one.key)
        for does, text in _changed(before, one, texts):
            yield Change(does, text, before.key, one.key)


def _ways(one: _Placed) -> list[tuple[str, int]]:
    """Return the blocks around a step that decide whether somebody comes to it."""
    return [block for block in one.around if block[0] != Stage.__name__]


def _changed(old: _Placed, new: _Placed, texts: tuple[Texts, Texts]) -> Iterator[tuple[Does, str]]:
    if old.step.name != new.step.name:
        yield Does.RENAMES, f"renames {old.key} to {new.key}"
    if isinstance(old.step, Send) and isinstance(new.step, Send):
        for text in _messages(old.step, new.step, new.key, texts):
            yield Does.CHANGES, text
    elif old.said != new.said:
        yield Does.CHANGES, f"changes {old.said} to {new.said}{_in_stage(new)}"


def _messages(old: Send, new: Send, key: str, texts: tuple[Texts, Texts]) -> Iterator[str]:
    before = {option.channel: option for option in old.options}
    after = {option.channel: option for option in new.options}
    for channel in before.keys() - after.keys():
        yield f"takes {_named(channel)} from {key}"
    for channel, option in after.items():
        if channel in before:
            yield from _message(before[channel], option, key, texts)
        else:
            yield f"adds {_named(channel)} to {key}"
    both = [channel for channel in before if channel in after]
    if both != [channel for channel in after if channel in before]:
        yield f"tries the channels of {key} in another order"


def _message(old: Option, new: Option, key: str, texts: tuple[Texts, Texts]) -> Iterator[str]:
    before, after = (_quoted(option) for option in (old, new))
    if before != after:
        yield f"changes the {_named(new.channel)} text of {key} from {before} to {after}"
    elif old != new:
        yield f"changes the shares of the {_named(new.channel)} texts of {key}"
    for name in (content.template for content in new.contents):
        frozen = [known.get((new.channel, name)) for known in texts]
        if before == after and None not in frozen and frozen[0] != frozen[1]:
            yield f"changes the {_named(new.channel)} text of {key}"
            return


def _quoted(option: Option) -> str:
    return " / ".join(f"“{content.template}”" for content in option.contents)


def _named(channel: Channel) -> str:
    return channel.upper() if channel in CAPITALS else channel.value


def _texts(wordings: Wordings | None) -> Texts:
    if wordings is None:
        return {}
    return {place: one.template_version_id for place, one in wordings.templates.items()}


def sentence(changes: Iterable[Change]) -> str:
    """Return changes as one line: `adds wait 1d in Gift; changes the SMS text of hook-1`."""
    return "; ".join(change.text for change in changes) or "changes nothing"

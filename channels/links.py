"""Links: finds what an HTML template links to and puts tracked links in their place.

It works on the source with Liquid masked out, so `{% if a > b %}` inside a tag misleads nobody and
positions stay true.
"""

import re
from collections.abc import Callable
from html import unescape

import html2text
from liquid.exceptions import LiquidError

from channels.liquid import TEXT, spans

CLICK = "_click"
OPEN = "_open"
"""Names the rewritten source uses; templates cannot, since unknown names are refused before."""

HREF = re.compile(
    r"""<(?:a|area)\s(?:[^<>"']|"[^"]*"|'[^']*')*?\bhref\s*=\s*"""
    r"""(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"'>]+))""",
    re.IGNORECASE,
)
KEPT = "lqkept0x"
KEPT_TEXT = re.compile(rf"{KEPT}(\d+)q")
MASK = "\ue000"
BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)


def track(source: str, known: Callable[[str], bool]) -> tuple[str, tuple[str, ...]]:
    """Return the source with each http link as `{{ _click[n] }}` and an open pixel, and the links.

    `known` says whether a name means the same outside of the template: a link built from a loop
    variable cannot be opened later and stays as it is.
    """
    links: list[str] = []
    pieces: list[str] = []
    position = 0
    masked = mask(source)
    for match in HREF.finditer(masked):
        start, end = match.span(match.lastgroup or 0)
        link = _plain(source[start:end])
        if _trackable(link, known):
            pieces += (source[position:start], f"{{{{ {CLICK}[{len(links)}] }}}}")
            links.append(link)
            position = end
    rest, masked_rest = source[position:], masked[position:]
    ends = [match.start() for match in BODY_END.finditer(masked_rest)]
    at = ends[-1] if ends else len(rest)
    pieces += (rest[:at], f"{{{{ {OPEN} }}}}", rest[at:])
    return "".join(pieces), tuple(links)


def mask(source: str) -> str:
    """Return `source` with all Liquid replaced, character by character, by a harmless one."""
    pieces: list[str] = []
    position = 0
    for start, end in spans(source):
        pieces += (source[position:start], MASK * (end - start))
        position = end
    return "".join((*pieces, source[position:]))


def _plain(href: str) -> str:
    """Undo HTML's escaping of a link, but leave its Liquid alone."""
    pieces: list[str] = []
    position = 0
    for start, end in spans(href):
        pieces += (unescape(href[position:start]), href[start:end])
        position = end
    return "".join((*pieces, unescape(href[position:]))).strip()


def _trackable(link: str, known: Callable[[str], bool]) -> bool:
    if not link.lower().startswith(("http://", "https://", "{{", "{%")):
        return False
    if "{" not in link:
        return True
    try:
        analysis = TEXT.from_string(link).analyze()
    except LiquidError:
        return False
    return all(known(name) for name in analysis.globals) and "unsubscribe_url" not in (
        analysis.globals
    )


def to_text(source: str) -> str:
    """Return a plain text version of an HTML template, its Liquid kept in place."""
    kept: list[str] = []
    pieces: list[str] = []
    position = 0
    source = source.replace(KEPT, "")
    for start, end in spans(source):
        pieces += (source[position:start], f"{KEPT}{len(kept)}q")
        kept.append(source[start:end])
        position = end
    converter = html2text.HTML2Text(bodywidth=0)
    converter.ignore_images = True
    converter.ignore_emphasis = True
    converter.unicode_snob = True
    text = converter.handle("".join((*pieces, source[position:])))
    restored = KEPT_TEXT.sub(lambda match: kept[int(match[1])], text)
    return re.sub(r"\n{3,}", "\n\n", restored).strip() + "\n"

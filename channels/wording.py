"""Wording: what no message may say, asked once, when a wording is saved.

A subject is one line, since it becomes a header. A link leads where a mail reader may follow it,
and never runs anything. An email says something in words. A text message is no longer than
providers take. Members' values are not looked at: they are escaped and folded as they come.
"""

import re
from html import unescape

from channels.channel import Channel
from channels.links import MASK, mask, to_text
from channels.names import TemplateError, error_at
from channels.skeleton import Skeleton
from core.lines import line_break

MAX_SMS = 1_600
"""Characters; Twilio refuses more (21617)."""
SCHEMES = frozenset({"http", "https", "mailto", "sms", "tel"})
LINK = re.compile(
    r"""[\s"'/](?:(?:xlink:)?href|(?:form)?action)\s*=\s*"""
    r"""(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"'>]+))""",
    re.IGNORECASE,
)
SCHEME = re.compile(r"([^/?#:]*):")
UNSEEN = re.compile(r"[\x00-\x20\x7f-\xa0]")
"""What browsers skip in front of a scheme, and within it."""


def refuse(skeleton: Skeleton, *, subject: str | None, html: str | None, text: str | None) -> None:
    """Raise TemplateError, with its place, for a wording that no message may have."""
    if subject is not None:
        at = line_break(mask(subject.strip()))
        if at is not None:
            raise error_at("a subject is one line", subject.strip(), at, "subject", None)
    if html is not None:
        _refuse_links(html)
    if (html or "").strip() and not (text or "").strip() and not to_text(html or "").strip():
        raise TemplateError(
            "it says nothing in words",
            field="html",
            remedy="write some, or give a text for those who see no images",
        )
    said = sum(len(part) for face in skeleton.faces for part in face.parts)
    if skeleton.channel is Channel.SMS and said > MAX_SMS:
        raise TemplateError(
            f"a text message has at most {MAX_SMS:,} characters",
            field="text",
            remedy="say it shorter, or link to the rest",
        )


def _refuse_links(html: str) -> None:
    masked = mask(html)
    for match in LINK.finditer(masked):
        start = match.start(match.lastgroup or 0)
        link = UNSEEN.sub("", unescape(match[match.lastgroup or 0]))
        scheme = SCHEME.match(link)
        if scheme is None or scheme[1].lower() in SCHEMES or set(scheme[1]) == {MASK}:
            continue
        raise error_at(
            "this link leads nowhere a reader may follow it",
            html,
            start,
            "html",
            f"begin it with {', '.join(f'{one}:' for one in sorted(SCHEMES))}",
        )

"""Reader: the person, or the proxy, at the other end of an email, who follows what is in it."""

import html
import re
from collections.abc import Mapping, Sequence

from channels.simulators.client import Post
from channels.simulators.hooks import Hooks
from channels.simulators.outbox import Door, Item, Owed, owe
from channels.simulators.script import Script

LINK = re.compile(r"""href\s*=\s*["']?(https?://[^"'\s<>]*/c/[A-Za-z0-9_.~-]+)""", re.IGNORECASE)
PIXEL = re.compile(
    r"""src\s*=\s*["']?(https?://[^"'\s<>]*/o/[A-Za-z0-9_.~-]+\.gif)""", re.IGNORECASE
)
ONE_CLICK_URI = re.compile(r"<(https?://[^>\s]+)>")
ONE_CLICK_BODY = b"List-Unsubscribe=One-Click"
"""RFC 8058 section 3.1."""
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36"
)
MAIL_PRIVACY = "Mozilla/5.0"
"""All that Apple's Mail Privacy Protection says of itself."""
DOOR = "reader"
ACTS = ("machine_open", "open", "click", "unsubscribe")


def links(script: Script, key: str, text: str) -> dict[str, str]:
    """Return what a reader finds in an html body: the pixel and one of our tracked links."""
    found = {}
    pixel = PIXEL.search(text)
    if pixel is not None:
        found["open"] = html.unescape(pixel[1])
    tracked = [html.unescape(url) for url in LINK.findall(text)]
    if tracked:
        found["click"] = tracked[int(len(tracked) * script.roll(key, "link"))]
    return found


def one_click(headers: Mapping[str, str]) -> str | None:
    """Return where a mail program unsubscribes its user; None when it cannot (RFC 8058)."""
    lower = {name.lower(): value for name, value in headers.items()}
    if lower.get("list-unsubscribe-post", "").strip() != ONE_CLICK_BODY.decode():
        return None
    found = ONE_CLICK_URI.search(lower.get("list-unsubscribe", ""))
    return found[1] if found else None


class Reader:
    """Plans and makes visits. Links that lead out of this machine are left alone."""

    def __init__(self, script: Script, hooks: Hooks) -> None:
        self._script = script
        self._hooks = hooks
        self.door = Door(self._build, done=lambda status: status < 500)

    def visit(self, message: str, act: str, url: str | None) -> list[Owed]:
        """Return one of ACTS on the message of that name."""
        if url is None or self._hooks.reach(url) is None:
            return []
        item = {"act": act, "url": url}
        return owe(self._script, f"{message}.{act}", DOOR, item, repeats=False)

    def _build(self, items: Sequence[Item]) -> Post | None:
        act, url = items[0]["act"], items[0]["url"]
        place = self._hooks.reach(url)
        if place is None:
            return None
        agent = MAIL_PRIVACY if act == "machine_open" else BROWSER
        headers = {"User-Agent": agent, "Accept": "*/*"}
        host = url.split("/")[2]
        if act != "unsubscribe":
            return Post(place, host, headers=headers, method="GET")
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return Post(place, host, ONE_CLICK_BODY, headers)

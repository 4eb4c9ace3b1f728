"""Who asks: a person's browser, or a scanner, preview or prefetching proxy.

Only what is certain from one request is judged here; bursts of clicks are judged in click.py.
"""

import re
from datetime import datetime, timedelta

SCANNERS = re.compile(
    r"(?<!cu)bot\b|crawl|spider|slurp|preview|scanner|url ?scan|monitoring|headless|phantom|"
    r"facebookexternalhit|^whatsapp/|embedly|microsoft office existence|"
    r"barracuda|mimecast|proofpoint|urldefense|safelinks|symantec|messagelabs|fireeye|"
    r"trend ?micro|sophos|forcepoint|zscaler|cloudmark|virustotal|google-safety|googleother|"
    r"curl/|wget/|python-requests|python-urllib|aiohttp|okhttp|go-http-client|java/|libwww|"
    r"node-fetch|axios|http-?client",
    re.IGNORECASE,
).search
"""Names scanners and previews give themselves. Cubot is a phone; Outlook's own `ms-office`, which
loads images for a reader, is left out on purpose."""
MAIL_PRIVACY = "Mozilla/5.0"
"""All that Apple's Mail Privacy Protection says of itself, whether or not the mail is read."""
IMAGE_PROXY = re.compile(r"GoogleImageProxy|YahooMailProxy|ggpht", re.IGNORECASE).search
PREFETCH = timedelta(seconds=10)
"""An image proxy that comes this soon after the send fetched ahead."""


def is_scanner(method: str, agent: str) -> bool:
    """Say whether a request certainly comes from no person: by its method or its own name."""
    return method == "HEAD" or not agent.strip() or SCANNERS(agent) is not None


def is_prefetch(agent: str, sent_at: datetime | None, now: datetime) -> bool:
    """Say whether an image was fetched by a proxy that does not wait for a reader."""
    if agent.strip() == MAIL_PRIVACY:
        return True
    return bool(IMAGE_PROXY(agent)) and sent_at is not None and now - sent_at < PREFETCH

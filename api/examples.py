"""Examples: what the OpenAPI document shows for each body, and one refusal.

docs/reference/api.md sends those of EXAMPLES; those of all other operations are in a file beside.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from api.openapi import PREFIX

FILE = Path(__file__).parent / "page" / "examples.json"
REFUSAL = {
    "type": "urn:echelonx:problem:invalid",
    "title": "What was sent cannot be accepted as it is.",
    "status": 422,
    "code": "invalid",
    "detail": "name is missing",
    "errors": [{"pointer": "/name", "detail": "name is missing", "remedy": "give name"}],
}
EXAMPLES: dict[tuple[str, str], Any] = {
    ("post", "/api/v1/members"): {
        "member_id": "shop-17",
        "first_name": "Ana",
        "email": "ana@example.com",
        "phone": "+12015550123",
        "attributes": {"city": "Berlin"},
        "tags": ["vip"],
        "consents": [{"channel": "email", "state": "granted", "wording": "Send me the newsletter"}],
    },
    ("patch", "/api/v1/members/{member_id}"): {"last_name": "Li", "tier": "premium"},
    ("post", "/api/v1/members/{member_id}/consents"): {
        "channel": "sms",
        "state": "granted",
        "source": "checkout",
        "wording": "Text me",
    },
    ("post", "/api/v1/segments"): {"name": "Berlin", "text": 'attributes.city = "Berlin"'},
    ("post", "/api/v1/segments/preview"): {
        "rule": {"and": [{"tag": "vip"}, {"reachable": "email"}]},
        "channels": ["email"],
        "sample": 3,
    },
    ("post", "/api/v1/suppressions"): {"channel": "email", "address": "leave.me@example.com"},
    ("post", "/api/v1/suppressions/lift"): {"channel": "email", "address": "leave.me@example.com"},
    ("post", "/api/v1/templates"): {
        "name": "Gift guide",
        "channel": "email",
        "subject": "{{ member.first_name }}, for you",
        "html": '<p>Hello from {{ client.name }}. <a href="{{ '
        'unsubscribe_url }}">Unsubscribe</a></p>',
    },
    ("post", "/api/v1/templates/{template_id}/versions"): {
        "subject": "{{ member.first_name | default: 'Hello' }}",
        "html": '<a href="{{ unsubscribe_url }}">Bye</a>',
    },
    ("post", "/api/v1/templates/{template_id}/preview"): {"sample": {"first_name": "Ana"}},
    ("post", "/api/v1/providers"): {
        "name": "Relay",
        "adapter": "smtp",
        "config": {
            "host": "mail.example.com",
            "port": 587,
            "tls": "starttls",
            "username": "shop",
            "password": "correct horse",
            "from_email": "shop@example.com",
        },
    },
    ("post", "/api/v1/campaigns"): {
        "name": "November",
        "type": "email",
        "target_audience": {"segment_id": 1},
        "variants": [{"channel": "email", "template_id": 1}],
    },
    ("post", "/api/v1/communications"): {
        "member_id": 1,
        "key": "order-17-receipt",
        "channel": "email",
        "subject": "Your order 17",
        "text": "Thank you, Ana. It is on its way.",
    },
    ("post", "/api/v1/exports"): {
        "of": "communications",
        "format": "csv",
        "filter": {"campaign_id": 1},
    },
    ("post", "/api/v1/unknown/check"): {"filter": {"reason": "no_answer"}},
    ("patch", "/api/v1/clients/me"): {
        "address": "1 Main Street, Springfield",
        "timezone": "America/New_York",
    },
    ("post", "/api/v1/api-keys"): {"name": "shop front", "scopes": ["read"]},
}


@cache
def others() -> dict[tuple[str, str], Any]:
    """Return the examples of the file, by method and path like EXAMPLES."""
    read = json.loads(FILE.read_text("utf-8"))
    parts = ((name.split(), example) for name, example in read.items())
    return {(method.lower(), f"{PREFIX}{path}"): example for (method, path), example in parts}


def describe(spec: dict[str, Any]) -> None:
    """Show each in its operation, and the refusal in its schema."""
    for (method, path), example in (EXAMPLES | others()).items():
        content = spec["paths"][path][method]["requestBody"]["content"]
        content["application/json"]["example"] = example
    spec["components"]["schemas"]["Problem"]["examples"] = [REFUSAL]

"""Examples: bodies that the OpenAPI document shows; docs/reference/api.md sends the same."""

from typing import Any

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


def describe(spec: dict[str, Any]) -> None:
    """Show each in its operation."""
    for (method, path), example in EXAMPLES.items():
        content = spec["paths"][path][method]["requestBody"]["content"]
        content["application/json"]["example"] = example

"""Mirrors campaigns/variant.py."""

from typing import Any

import pytest

from campaigns.errors import CampaignInvalidError, TemplateNotFoundError
from campaigns.template import create_template
from campaigns.variant import variants_of
from channels.channel import Channel
from communications.errors import AccountNotFoundError
from core.clock import ManualClock
from core.db import Sessions, read, write
from core.errors import InvalidError
from tests.campaigns.conftest import MakeCampaign, MakeTemplate


def test_a_variant_names_its_template_and_account(
    sessions: Sessions,
    make_campaign: MakeCampaign,
    template_ids: dict[Channel, int],
    account_ids: dict[Channel, int],
) -> None:
    sms = {
        "channel": "sms",
        "template_id": template_ids[Channel.SMS],
        "provider_account_id": account_ids[Channel.SMS],
    }
    campaign_id = make_campaign(variants=[sms])

    with read(sessions) as session:
        (variant,) = variants_of(session, campaign_id)
    assert variant.channel is Channel.SMS
    assert variant.template_id == template_ids[Channel.SMS]
    assert variant.provider_account_id == account_ids[Channel.SMS]


def test_a_template_for_another_channel_is_refused(
    make_campaign: MakeCampaign, template_ids: dict[Channel, int]
) -> None:
    wrong = {"channel": "sms", "template_id": template_ids[Channel.EMAIL]}

    with pytest.raises(CampaignInvalidError) as caught:
        make_campaign(variants=[wrong])

    assert caught.value.field == "variants/0/template_id"


def test_an_account_for_another_channel_is_refused(
    make_campaign: MakeCampaign,
    template_ids: dict[Channel, int],
    account_ids: dict[Channel, int],
) -> None:
    wrong = {
        "channel": "sms",
        "template_id": template_ids[Channel.SMS],
        "provider_account_id": account_ids[Channel.PUSH],
    }

    with pytest.raises(CampaignInvalidError) as caught:
        make_campaign(variants=[wrong])

    assert caught.value.field == "variants/0/provider_account_id"


def test_several_on_one_channel_are_named_by_letters_and_share_its_people(
    sessions: Sessions, make_campaign: MakeCampaign, make_template: MakeTemplate
) -> None:
    first, second, third = (make_template(Channel.SMS) for _ in range(3))
    campaign_id = make_campaign(
        variants=[
            {"channel": "sms", "template_id": first},
            {"channel": "sms", "template_id": second, "weight": 3},
            {"channel": "sms", "template_id": third, "name": "short"},
        ]
    )

    with read(sessions) as session:
        found = [(one.name, one.weight) for one in variants_of(session, campaign_id)]
    assert found == [("A", 1), ("B", 3), ("short", 1)]


@pytest.mark.parametrize(
    ("templates", "changes", "field"),
    [
        (5, {}, "variants/4/channel"),
        (1, {}, "variants/1/template_id"),
        (2, {"name": "A"}, "variants/1/name"),
        (2, {"provider_account_id": 1}, "variants/1/provider_account_id"),
    ],
)
def test_what_is_no_fair_test_is_refused(
    make_campaign: MakeCampaign,
    make_template: MakeTemplate,
    account_ids: dict[Channel, int],
    templates: int,
    changes: dict[str, Any],
    field: str,
) -> None:
    ids = [make_template(Channel.SMS) for _ in range(templates)]
    variants: list[dict[str, Any]] = [
        {"channel": "sms", "template_id": id} for id in (ids if templates > 1 else ids * 2)
    ]
    if "provider_account_id" in changes:
        changes = {"provider_account_id": account_ids[Channel.SMS]}
    variants[-1] |= changes

    with pytest.raises(CampaignInvalidError) as caught:
        make_campaign(variants=variants)

    assert caught.value.field == field
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"channel": "smoke"}, InvalidError),
        ({"template_id": 999}, TemplateNotFoundError),
        ({"provider_account_id": 999}, AccountNotFoundError),
    ],
)
def test_what_does_not_exist_is_refused(
    make_campaign: MakeCampaign,
    template_ids: dict[Channel, int],
    values: dict[str, Any],
    error: type[Exception],
) -> None:
    with pytest.raises(error):
        make_campaign(
            variants=[{"channel": "sms", "template_id": template_ids[Channel.SMS], **values}]
        )


def test_another_clients_template_does_not_exist(
    sessions: Sessions, clock: ManualClock, other_client_id: int, make_campaign: MakeCampaign
) -> None:
    with write(sessions) as session:
        theirs = create_template(
            session, clock, client_id=other_client_id, name="sms", channel="sms", text="Hi"
        ).id

    with pytest.raises(TemplateNotFoundError):
        make_campaign(variants=[{"channel": "sms", "template_id": theirs}])

"""Prompt: what a language model is asked for, filled with the client's foundation.

A prompt is Liquid like any template, so what it needs is what it shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from campaigns.errors import PromptNotFoundError
from campaigns.journeys.ast import Elevate
from campaigns.preview import shown
from channels.channel import Channel
from channels.names import FOUNDATION
from channels.template import CompiledTemplate, compile_template
from core.condition.check import nearest
from core.errors import InvalidError

E = Elevate


@dataclass(frozen=True, slots=True)
class Prompt:
    """One piece of copy to ask for."""

    code: str
    step: Elevate
    title: str
    channel: Channel
    """What the answer becomes a template for."""
    text: str

    @property
    def needs(self) -> tuple[str, ...]:
        """The facts of the foundation that it shows."""
        return tuple(field.removeprefix(f"{FOUNDATION}.") for field in self.compiled().fields)

    def compiled(self) -> CompiledTemplate:
        """Return it ready to be filled."""
        return compile_template(Channel.SMS, subject=None, html=None, text=self.text)


OFFER = (
    "What we offer: {{ foundation.offer }}. What it promises: {{ foundation.value_proposition }}. "
)
READER = "Our reader: {{ foundation.profile_summary }}. "
PAINS = "What troubles them: {{ foundation.pains | join: '; ' }}. "
VOICE = "Our voice: {{ foundation.brand_voice_adjectives | join: ', ' }}. "

PROMPTS: dict[str, Prompt] = {
    one.code: one
    for one in (
        Prompt("H1", E.HOOK, "Invitation", Channel.PUSH, f"{READER}{PAINS}"
               "Invite them to take our free gift, {{ foundation.gift }}."),
        Prompt("G1", E.GIFT, "Delivery of the gift", Channel.EMAIL, f"{READER}{VOICE}"
               "Deliver our gift, {{ foundation.gift }}, and say how to use it in ten minutes."),
        Prompt("I1", E.IDENTIFY, "One question", Channel.SMS, f"{READER}{PAINS}"
               "Ask one question that they can answer with one letter, A or B."),
        Prompt("E1", E.ENGAGE, "Our story", Channel.EMAIL, f"{READER}{VOICE}"
               "Tell our story: {{ foundation.brand_story_personality }}. Sell nothing."),
        Prompt("S1", E.SELL, "The offer", Channel.EMAIL, f"{READER}{OFFER}{VOICE}"
               "Its price: {{ foundation.positioning_price }}. Make the offer, honestly."),
        Prompt("S2", E.SELL, "The offer in a line", Channel.SMS, f"{OFFER}{VOICE}"
               "Make the offer in at most 140 characters."),
        Prompt("N1", E.NURTURE, "Their doubts", Channel.EMAIL, f"{READER}{OFFER}"
               "What they fear: {{ foundation.fears | join: '; ' }}. Take one fear seriously."),
        Prompt("N2", E.NURTURE, "What sets us apart", Channel.EMAIL, f"{READER}{VOICE}"
               "What sets us apart: {{ foundation.differentiation }}. Show it by an example."),
        Prompt("U1", E.UPSELL, "What comes next", Channel.EMAIL, f"{READER}{VOICE}"
               "They bought {{ foundation.offer }}. Offer {{ foundation.next_offer }} to those "
               "for whom it is right, and say for whom it is not."),
        Prompt("D1", E.EDUCATE, "A tip", Channel.EMAIL, f"{READER}"
               "They bought {{ foundation.offer }} and want: {{ foundation.goals | join: '; ' }}. "
               "Give one tip that helps them to use it this week."),
        Prompt("R1", E.SHARE, "A review", Channel.EMAIL, f"{READER}{VOICE}"
               "Ask for two honest sentences about {{ foundation.offer }}."),
    )
}  # fmt: skip
"""By code, in the order of the steps."""


def prompt(code: str) -> Prompt:
    """Return a prompt. Raises PromptNotFoundError."""
    if code not in PROMPTS:
        raise PromptNotFoundError(
            f"there is no prompt “{code[:20]}”", field="code", remedy=nearest(code, PROMPTS)
        )
    return PROMPTS[code]


def missing(one: Prompt, facts: Mapping[str, Any]) -> list[str]:
    """Return the facts a prompt needs and the foundation does not have."""
    return [fact for fact in one.needs if not facts.get(fact)]


def filled(one: Prompt, facts: Mapping[str, Any]) -> str:
    """Return a prompt with the facts in it. Raises InvalidError naming those that are missing."""
    lacks = missing(one, facts)
    if lacks:
        raise InvalidError(
            f"the prompt needs {', '.join(lacks)}", field="foundation", remedy="set them first"
        )
    merge = {f"{FOUNDATION}.{name}": value for name, value in facts.items()}
    return shown(one.compiled(), merge, {})["body"]

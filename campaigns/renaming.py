"""Renaming: a template's other name. Campaigns mean templates by id, journeys by name."""

from sqlalchemy.orm import Session

from accounts.client import hold
from campaigns.errors import TemplateInUseError
from campaigns.field import name_of
from campaigns.journeys.naming import journeys_saying
from campaigns.template import Template, refuse_taken, template
from core.clock import Clock


def rename_template(
    session: Session, clock: Clock, *, client_id: int, template_id: int, name: str
) -> Template:
    """Give a template another name; its own again changes nothing.

    Raises TemplateNotFoundError, InvalidError, NameTakenError, or TemplateInUseError while a
    journey sends it: versions never change, so what they name keeps its name.
    """
    hold(session, client_id)  # whoever publishes a journey does: it is seen here, or sees the name
    found = template(session, client_id, template_id)
    name = name_of(name)
    if name == found.name:
        return found
    refuse_taken(session, client_id, name)
    using = journeys_saying(session, client_id, found.name)
    if using:
        listed = ", ".join(f"“{one.name}”" for one in using[:5])
        raise TemplateInUseError(
            f"{found.name} is sent by {listed}",
            field="name",
            remedy="make another template, and publish the journeys with that",
        )
    found.name, found.updated_at = name, clock.now()
    session.flush()
    return found

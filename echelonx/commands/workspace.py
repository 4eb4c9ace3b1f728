"""Workspace: settings and services as commands need them, and the client they speak for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.orm import Session

from accounts.client import Client, client, clients
from core.errors import ConflictError, NotFoundError
from core.log import configure
from core.settings import Settings
from echelonx import schema
from echelonx.wiring import Services, build

client_option = click.option(
    "--client", "client_id", type=int, help="The client's id, where there are several."
)


def settings() -> Settings:
    """Return this process's settings, and log accordingly. Raises SettingsError."""
    found = Settings.from_environment(os.environ)
    configure(found)
    return found


@contextmanager
def opened(given: Settings | None = None) -> Iterator[Services]:
    """Give the services over a database that is up to date. Raises SchemaError."""
    services = build(given or settings())
    try:
        schema.require(services.engine)
        yield services
    finally:
        services.close()


def chosen(session: Session, client_id: int | None) -> Client:
    """Return the client a command speaks for: the one named, or the only one there is.

    Raises NotFoundError, or ConflictError where there are several to choose from.
    """
    if client_id is not None:
        return client(session, client_id)
    found = clients(session)
    if not found:
        raise NotFoundError("there is no client yet", remedy="echelonx init")
    if len(found) > 1:
        listed = ", ".join(f"{one.id} {one.name}" for one in found[:5])
        raise ConflictError(
            f"there are {len(found)} clients: {listed}", field="client", remedy="add --client ID"
        )
    return found[0]

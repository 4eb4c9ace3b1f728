"""/members/{id}/…: what belongs to one member, and merges of two."""

from datetime import UTC, datetime
from typing import Any

from api.context import actor, audit, client_id, clock, db, services
from api.members import ID, shown
from api.openapi import Resource
from api.paging import by_id, paged
from api.schemas.member import (
    AddressSchema,
    ChangeSchema,
    EntrySchema,
    ErasureSchema,
    ExternalIdSchema,
    MemberSchema,
    MergeRequestSchema,
    MergeSchema,
    NewAddressSchema,
    NoteSchema,
    TagChangesSchema,
    TimelineQuery,
)
from api.schemas.page import PageQuery, page_of
from communications.thread import KINDS, Edge, thread
from core.errors import InvalidError
from core.page import decode_cursor, encode_cursor
from core.page import page_of as cut
from members import addressing, edit, queries
from members.address import MemberAddress
from members.change import Change, changes_page, record_changes
from members.erasure import Erasure, erase, erasures_page
from members.identity import forget_outside, name_outside
from members.merge import Merge, merge, merges_page, undo_merge
from members.note import MemberNote, delete_note, notes_page, write_note

bp = Resource("people", noun="member", about="What belongs to one member", room="members")
ROW = "<int(min=1,max=9223372036854775807):{}>"
ADDRESS_ID, NOTE_ID, MERGE_ID = (ROW.format(name) for name in ("address_id", "note_id", "merge_id"))


@bp.post(f"/members/{ID}/addresses")
@bp.arguments(NewAddressSchema)
@bp.response(201, AddressSchema)
def add_address(data: dict[str, Any], member_id: int) -> MemberAddress:
    """Add an address; the first of its channel is primary. One address belongs to one member."""
    return addressing.add_address(
        db(),
        clock(),
        services().hasher,
        client_id=client_id(),
        member_id=member_id,
        actor=actor(),
        **data,
    )


@bp.post(f"/members/{ID}/addresses/{ADDRESS_ID}/primary")
@bp.response(200, AddressSchema)
def make_primary(member_id: int, address_id: int) -> MemberAddress:
    """Send to this address from now on."""
    return addressing.make_primary(
        db(),
        clock(),
        client_id=client_id(),
        member_id=member_id,
        address_id=address_id,
        actor=actor(),
    )


@bp.delete(f"/members/{ID}/addresses/{ADDRESS_ID}")
@bp.response(204)
def remove_address(member_id: int, address_id: int) -> None:
    """Take an address from a member; its suppression stays."""
    addressing.remove_address(
        db(),
        clock(),
        client_id=client_id(),
        member_id=member_id,
        address_id=address_id,
        actor=actor(),
    )


@bp.post(f"/members/{ID}/external-ids")
@bp.arguments(ExternalIdSchema)
@bp.response(201, ExternalIdSchema)
def add_external_id(data: dict[str, Any], member_id: int) -> dict[str, Any]:
    """Note the id another system has for a member; a second id there replaces the first."""
    found = queries.member(db(), client_id(), member_id)
    name_outside(db(), client_id=client_id(), member_id=found.id, **data)
    _named(found.id, data["system"], data["value"])
    return data


@bp.delete(f"/members/{ID}/external-ids/<string:system>")
@bp.response(204)
def remove_external_id(member_id: int, system: str) -> None:
    """Forget the id another system has for a member."""
    found = queries.member(db(), client_id(), member_id)
    forget_outside(db(), client_id=client_id(), member_id=found.id, system=system)
    _named(found.id, system, None)


def _named(member_id: int, system: str, value: str | None) -> None:
    changed = {f"external_ids.{system.casefold()[:22]}": (None, value)}
    record_changes(
        db(),
        clock(),
        client_id=client_id(),
        source=edit.API,
        actor=actor(),
        changes=[Change(member_id, changed)],
    )


@bp.post(f"/members/{ID}/tags")
@bp.arguments(TagChangesSchema)
@bp.response(200, MemberSchema)
def change_tags(data: dict[str, Any], member_id: int) -> dict[str, Any]:
    """Give a member tags and take others."""
    edit.set_tags(db(), clock(), client_id=client_id(), id=member_id, actor=actor(), **data)
    return shown([queries.member(db(), client_id(), member_id)])[0]


@bp.get(f"/members/{ID}/notes")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(NoteSchema))
def list_notes(query: dict[str, Any], member_id: int) -> dict[str, Any]:
    """List the notes about a member, newest first."""
    found = queries.member(db(), client_id(), member_id)
    return paged(
        query,
        lambda before, limit: notes_page(db(), client_id(), found.id, before=before, limit=limit),
        by_id,
    )


@bp.post(f"/members/{ID}/notes")
@bp.action("members:note")
@bp.arguments(NoteSchema)
@bp.response(201, NoteSchema)
def add_note(data: dict[str, Any], member_id: int) -> MemberNote:
    """Write a note about a member."""
    return write_note(
        db(),
        clock(),
        client_id=client_id(),
        member_id=member_id,
        author=actor(),
        text=data["text"],
    )


@bp.delete(f"/members/{ID}/notes/{NOTE_ID}")
@bp.response(204)
def remove_note(member_id: int, note_id: int) -> None:
    """Take a note off the member's page."""
    delete_note(db(), clock(), client_id=client_id(), member_id=member_id, note_id=note_id)


@bp.get(f"/members/{ID}/changes")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(ChangeSchema))
def list_changes(query: dict[str, Any], member_id: int) -> dict[str, Any]:
    """List what was edited about a member, by whom, before and after; newest first."""
    found = queries.member(db(), client_id(), member_id)
    return paged(
        query,
        lambda before, limit: changes_page(
            db(), client_id(), member_id=found.id, before=before, limit=limit
        ),
        by_id,
    )


@bp.get(f"/members/{ID}/timeline")
@bp.arguments(TimelineQuery, location="query")
@bp.response(200, page_of(EntrySchema))
def timeline(query: dict[str, Any], member_id: int) -> dict[str, Any]:
    """Tell everything about a member, newest first: sent, skipped and why, done, said, changed."""
    found = queries.member(db(), client_id(), member_id)
    rows = thread(
        db(),
        client_id(),
        found.id,
        before=_edge(query["cursor"]),
        kinds=query["kind"] and [query["kind"]],
        limit=query["limit"] + 1,
    )
    page = cut(rows, query["limit"], lambda row: encode_cursor(row.at, row.kind, row.id))
    return {"data": page.items, "next_cursor": page.next_cursor}


def _edge(cursor: str | None) -> Edge | None:
    if cursor is None:
        return None
    try:
        at, kind, id_ = decode_cursor(cursor)
        edge = datetime.fromisoformat(at).astimezone(UTC), str(kind), int(id_)
    except (TypeError, ValueError, OverflowError):
        edge = None
    if edge is None or edge[1] not in KINDS or not 0 <= edge[2] < 2**63:
        raise InvalidError(
            "this is not a cursor of this list", field="cursor", remedy="start without a cursor"
        )
    return edge


@bp.post(f"/members/{ID}/erasure")
@bp.action("members:erase")
@bp.response(201, ErasureSchema)
@bp.fresh
def erase_member(member_id: int) -> Erasure:
    """Forget a deleted member for good, and get a receipt; suppressions of it stay."""
    receipt = erase(
        db(), clock(), services().hasher, client_id=client_id(), id=member_id, actor=actor()
    )
    audit(f"member:{member_id}")
    return receipt


@bp.get("/erasures")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(ErasureSchema))
def list_erasures(query: dict[str, Any]) -> dict[str, Any]:
    """List the receipts of erasures, newest first."""
    return paged(
        query,
        lambda before, limit: erasures_page(db(), client_id(), before=before, limit=limit),
        by_id,
    )


@bp.get("/merges")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(MergeSchema))
def list_merges(query: dict[str, Any]) -> dict[str, Any]:
    """List merges, newest first."""
    return paged(
        query,
        lambda before, limit: merges_page(db(), client_id(), before=before, limit=limit),
        by_id,
    )


@bp.post("/merges")
@bp.arguments(MergeRequestSchema)
@bp.response(201, MergeSchema)
def merge_members(data: dict[str, Any]) -> Merge:
    """Make one member of two; the absorbed one's keys lead to the survivor from now on."""
    done = merge(db(), clock(), client_id=client_id(), actor=actor(), **data)
    audit(f"merge:{done.id}")
    return done


@bp.post(f"/merges/{MERGE_ID}/undo")
@bp.response(200, MergeSchema)
def unmerge(merge_id: int) -> Merge:
    """Make two members of one again; what came since stays with the survivor."""
    done = undo_merge(db(), clock(), client_id=client_id(), merge_id=merge_id, actor=actor())
    audit(f"merge:{done.id}")
    return done

"""Check: gathers the evidence, asks every oracle, and writes the answer down."""

from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from communications.account import ProviderAccount
from communications.communication import Communication
from communications.reference import References
from core.clock import Clock
from echelonx.relcheck.evidence import gather
from echelonx.relcheck.oracles import ORACLES, Verdict
from echelonx.relcheck.providerlog import read_log
from webhooks.inbox import InboxItem

C = Communication


def check(
    session: Session,
    clock: Clock,
    references: References,
    *,
    provider_log: Path,
    expected: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return `{"ok": bool, "early": […], "oracles": {"O1": {…}}, "counts": {…}}`.

    `early` are the runs that are not finished: until they are, nothing is `ok`. Raises
    ProviderLogError. `expected` is what only the caller knows: docs/reference/relcheck.md lists it.
    """
    log = read_log(provider_log, references, _named_by_providers(session))
    evidence = gather(session, clock.now(), log, expected or {})
    evidence.inbox = _inbox(session)
    verdicts = [oracle(evidence) for oracle in ORACLES]
    early = evidence.early
    statuses = Counter(row.status.value for row in evidence.rows.values())
    return {
        "ok": all(verdict.ok for verdict in verdicts) and not early,
        "early": [
            {"run": run.id, "status": run.status, "open": early[run.id]}
            for run in evidence.runs
            if run.id in early
        ],
        "oracles": {verdict.name: _told(verdict) for verdict in verdicts},
        "counts": {
            "communications": len(evidence.rows),
            "accepted": len(log.taken),
            "acknowledged": len(log.acknowledged),
            **{status: statuses[status] for status in sorted(statuses)},
        },
    }


def _told(verdict: Verdict) -> dict[str, Any]:
    return {
        "ok": verdict.ok,
        "promise": verdict.promise,
        "checked": verdict.checked,
        "wrong": verdict.wrong,
        "examples": verdict.examples,
        "note": verdict.note,
    }


def _named_by_providers(session: Session) -> dict[tuple[str, str], int]:
    query = (
        select(ProviderAccount.adapter, C.provider_id, C.id)
        .join(ProviderAccount, ProviderAccount.id == C.provider_account_id)
        .where(C.provider_id.is_not(None))
    )
    return {
        (adapter, provider_id or ""): communication_id
        for adapter, provider_id, communication_id in session.execute(query)
    }


def _inbox(session: Session) -> dict[str, int]:
    query = select(InboxItem.state, func.count()).group_by(InboxItem.state)
    found = {state.value: count for state, count in session.execute(query)}
    return found | {"total": sum(found.values())}

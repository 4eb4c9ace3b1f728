"""Mirrors echelonx/commands/audit.py."""

from sqlalchemy import text

from accounts.audit import record
from accounts.audit_chain import seal
from core.db import write
from core.settings import Settings
from echelonx import wiring


def test_the_log_is_listed_exported_and_verified(call, tmp_path) -> None:
    assert call("init", "--name", "Elevate", "--email", "ana@example.com").code == 0
    assert call("audit", "verify").code == 0
    services = wiring.build(Settings(database_url="sqlite:///echelonx.db"))
    with write(services.sessions) as session:
        for number in range(3):
            record(
                session, services.clock, client_id=1, actor="cli", action="campaign.launch",
                target=f"campaign:{number}",
            )  # fmt: skip
        seal(session)

    assert [row["target"] for row in call("audit", "list", "-n", "2", "--json").json] == [
        "campaign:2", "campaign:1"
    ]  # fmt: skip
    verdict = call("audit", "verify", "--json")
    [found] = [one for one in verdict.json if one["client"] == 1]
    assert (verdict.code, found["intact"]) == (0, True)
    (tmp_path / "audit.jsonl").write_text(call("audit", "export", "--client", "1").out, "utf-8")
    assert call("audit", "verify", "--file", "audit.jsonl").code == 0
    note = f"{found['seq']}:{found['hash']}"
    assert call("audit", "verify", "--noted", note).code == 0
    assert call("audit", "verify", "--noted", f"{found['seq']}:{'0' * 64}").code == 1
    assert call("audit", "verify", "--file", "audit.jsonl", "--noted", f"99:{'0' * 64}").code == 1
    assert "SEQ:HASH" in call("audit", "verify", "--noted", "what").err

    with write(services.sessions) as session:
        session.execute(text("DROP TRIGGER audit_log_update"))
        session.execute(text("UPDATE audit_log SET actor = 'key:9' WHERE target = 'campaign:1'"))
    services.close()
    broken = call("audit", "verify")
    assert broken.code == 1
    assert "was changed" in broken.out

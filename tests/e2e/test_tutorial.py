"""The tutorials and docs/reference/jobs.md, line by line, as a newcomer would type them."""

import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.e2e.processes import PATIENCE, STOP_SECONDS, free_port, until

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
BLOCK = re.compile(r"(?:^ {4}\S.*\n)+", re.MULTILINE)
FILE = re.compile(r"as `([\w.]+)`:\n\n```\n(.*?)```", re.DOTALL)


def typed(line: str, place: Path) -> str:
    """Type lines into a shell; return what they print. They must end well."""
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "NO_COLOR": "1"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line], cwd=place, env=environment,
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def lines_of(page: str, *, until: str = "") -> list[str]:
    """Return the commands of a page, up to a heading."""
    text = (ROOT / page).read_text(encoding="utf-8")
    text = text[: text.index(until)] if until else text
    return [line.strip() for block in BLOCK.findall(text) for line in block.splitlines()]


def with_an_engine(lines: list[str]) -> str:
    """Return a script of these lines, on ports that are free, that leaves no process behind."""
    port, mail = str(free_port()), str(free_port())
    begin = [
        f"export ECHELONX_PORT={port} ECHELONX_PUBLIC_URL=http://127.0.0.1:{port}",
        "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT",
    ]
    return "\n".join([*begin, *[one.replace("8000", port).replace("2525", mail) for one in lines]])


def test_the_nurture_tutorial_does_what_it_says(tmp_path: Path) -> None:
    text = (ROOT / "docs/tutorial/nurture.md").read_text(encoding="utf-8")
    begin, *blocks = [re.sub(r"^ {4}", "", found, flags=re.M) for found in BLOCK.findall(text)]
    assert begin.strip() == "echelonx practice nurture"
    for name, content in FILE.findall(text):
        (tmp_path / name).write_text(content)
    with (tmp_path / "practice.txt").open("w") as output:
        process = subprocess.Popen(
            [str(BIN / "echelonx"), "practice", "nurture", "--port", "0"],
            cwd=tmp_path, stdout=output, stderr=output,
        )  # fmt: skip
        try:
            until(lambda: "have arrived" in (tmp_path / "practice.txt").read_text(), "six messages")
            said = {
                line: typed(f". echelonx-practice/env\n{line}", tmp_path)
                for block in blocks
                for line in block.splitlines()
            }
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(STOP_SECONDS)
    assert code in (0, 130)
    assert "6 of 6 messages have arrived" in (tmp_path / "practice.txt").read_text()
    assert said["echelonx journey people Nurture"].count("practice-") == 6
    assert "goal" in next(told for line, told in said.items() if "purchase" in line)
    assert (
        "2 of 2 scenarios hold" in said["echelonx journey test nurture.journey nurture.scenarios"]
    )
    assert "wait" in said["echelonx journey plan nurture.journey"]


def test_a_newcomer_gets_from_signing_in_to_a_result_with_curl_alone(tmp_path: Path) -> None:
    lines = lines_of("docs/tutorial/with-curl.md")
    assert len([line for line in lines if "curl" in line or line.startswith("api ")]) > 12

    said = typed(with_an_engine([*lines, "wait"]), tmp_path)

    answers = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert any(one.get("actor") == "user:1" for one in answers)
    assert any((one.get("created"), one.get("rejected")) == (3, 1) for one in answers)
    log = next(one["data"] for one in answers if "data" in one)
    assert sorted((row["status"], row["reason"]) for row in log) == [
        ("sent", None),
        ("sent", None),
        ("skipped", "no_consent"),
    ]
    assert len((tmp_path / "accepted.jsonl").read_text().splitlines()) == 2


def test_long_work_is_followed_and_fetched_with_curl(tmp_path: Path) -> None:
    begin = lines_of("docs/tutorial/with-curl.md", until="## 4. People")
    lines = lines_of("docs/reference/jobs.md")
    assert len([line for line in lines if "curl" in line or line.startswith("api ")]) > 8

    said = typed(with_an_engine([*begin, *lines, "kill $(jobs -p)", "wait"]), tmp_path)

    assert '"id": "import-1"' in said or '"id":"import-1"' in said
    assert "not an address" in said
    assert "row-count: 2" in said.casefold()
    assert "urn:echelonx:problem:export_state" in said
    people = (tmp_path / "members.jsonl").read_text().splitlines()
    assert [json.loads(line)["first_name"] for line in people] == ["Ana", "Bo"]
    with zipfile.ZipFile(tmp_path / "client.zip") as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["tables"]["members"]["rows"] == 2

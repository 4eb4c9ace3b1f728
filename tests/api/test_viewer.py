"""Mirrors api/viewer.py: the page, and the client that docs/howto/client.md generates."""

import importlib
import re
import sys
from pathlib import Path

import httpx
import pytest
from flask import Flask
from typer.testing import CliRunner

from tests.api.caller import Caller

HOWTO = Path(__file__).parents[2] / "docs/howto/client.md"


def test_the_page_loads_nothing_from_afar_and_runs_nothing_inline(app: Flask) -> None:
    http = app.test_client()
    page = http.get("/api/docs")

    assert (page.status_code, page.mimetype) == (200, "text/html")
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in policy
    text = page.get_data(as_text=True)
    loaded = re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
    assert {http.get(one).status_code for one in loaded} == {200}
    assert not re.search(r"<script>|<style|style=|\son\w+=|https?:", text)
    script = http.get("/api/docs/page.js").get_data(as_text=True)
    assert "innerHTML" not in script
    assert "http" not in script


def test_nothing_else_is_served_beside_it(app: Flask) -> None:
    for name in ("index.html", "viewer.py", "..%2fviewer.py", "x"):
        assert app.test_client().get(f"/api/docs/{name}").status_code == 404


def test_every_operation_has_a_name_of_its_own(app: Flask) -> None:
    document = app.test_client().get("/api/v1/openapi.json").get_json()
    names = [
        operation["operationId"]
        for operations in document["paths"].values()
        for method, operation in operations.items()
        if method != "parameters"
    ]

    assert len(names) == len(set(names)) > 100
    assert {"member_list", "member_create", "member_search"} <= set(names)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # once is enough
def test_the_howtos_client_is_generated_and_works(
    app: Flask,
    api: Caller,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    generate(app, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        client = importlib.import_module("echelon_x_client").AuthenticatedClient
        (example,) = re.findall(r"```python\n(.*?)```", HOWTO.read_text("utf-8"), re.DOTALL)
        token = api.headers["Authorization"].split()[1]
        example = example.replace("ex_…", token).replace(
            'base_url="http://127.0.0.1:8000"', 'base_url="http://localhost", httpx_args=here'
        )

        exec(example, {"here": {"transport": httpx.WSGITransport(app)}})  # noqa: S102  (the page's)

        assert client.__name__ == "AuthenticatedClient"
        assert capsys.readouterr().out.endswith("Li\n")
    finally:
        for name in [name for name in sys.modules if name.startswith("echelon_x_client")]:
            del sys.modules[name]


def generate(app: Flask, folder: Path) -> None:
    """Generate it from the document, as the page says."""
    document, settings = folder / "openapi.json", folder / "settings.yaml"
    document.write_bytes(app.test_client().get("/api/v1/openapi.json").get_data())
    settings.write_text("post_hooks: []\n")  # it would look for a formatter
    command = importlib.import_module("openapi_python_client.cli").app
    done = CliRunner().invoke(
        command,
        [
            *("generate", "--path", str(document), "--config", str(settings)),
            *("--meta", "none", "--output-path", str(folder / "echelon_x_client")),
        ],
    )
    assert done.exit_code == 0, done.output  # files, such as JSON lines, it only warns of

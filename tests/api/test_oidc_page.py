"""Mirrors api/oidc_page.py."""

from flask import Flask

from tests.api.caller import Caller, refused


def test_without_an_identity_provider_there_is_nothing_to_see(app: Flask) -> None:
    nobody = Caller(app.test_client(), None)
    body = {"state": "s", "code": "c"}

    assert nobody.http.get("/account/oidc").status_code == 404
    for path, sent in (("", {}), ("/callback", body)):
        assert "password" in str(refused(nobody.ask("POST", f"/sign-in/oidc{path}", sent), 404))

"""An identity provider on loopback: discovery, keys that change, and a token endpoint."""

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote_plus, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from core.clock import Clock

KEY = rsa.generate_private_key(65537, 2048)
CLIENT, SECRET = "echelonx", "a secret: of two & more"


@dataclass
class Code:
    """What a code was given for."""

    asked: dict[str, str]
    token: str


@dataclass
class LocalIssuer:
    """Signs whatever a test wants signed; a code is good once, for who can prove to have asked."""

    clock: Clock
    rsa: Any = field(default_factory=lambda: KEY)
    ec: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    methods: list[str] | None = None
    codes: dict[str, Code] = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.keys = {"one": self.rsa}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = issuer.show(self.path)
                self.reply(200 if found else 404, found)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self.reply(*issuer.exchange(body, self.headers.get("Authorization", "")))

            def reply(self, status: int, body: Any) -> None:
                sent = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.named = self.url

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def show(self, path: str) -> dict[str, Any] | None:
        """A document."""
        self.asked.append(path)
        if path == "/keys":
            return {"keys": [self.public(kid) for kid in self.keys]}
        if path != "/.well-known/openid-configuration":
            return None
        told: dict[str, Any] = {
            "issuer": self.named,
            "authorization_endpoint": f"{self.url}/authorize?tenant=1",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }
        if self.methods:
            told["token_endpoint_auth_methods_supported"] = self.methods
        return told

    def public(self, kid: str) -> dict[str, Any]:
        key = self.keys[kid].public_key()
        kind: Any = RSAAlgorithm if isinstance(key, rsa.RSAPublicKey) else ECAlgorithm
        return {**kind.to_jwk(key, as_dict=True), "kid": kid, "use": "sig"}

    def exchange(self, body: str, authorization: str) -> tuple[int, dict[str, str]]:
        """An ID token for a code, once."""
        form = dict(parse_qsl(body))
        pair = base64.b64encode(f"{quote_plus(CLIENT)}:{quote_plus(SECRET)}".encode()).decode()
        posted = (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)
        if not (posted if self.methods else authorization == f"Basic {pair}"):
            return 401, {"error": "invalid_client"}
        code = self.codes.pop(form["code"], None)
        if code is None or form["redirect_uri"] != code.asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        assert code.asked["code_challenge_method"] == "S256"
        if challenge(form["code_verifier"]) != code.asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        return 200, {"token_type": "Bearer", "access_token": "-", "id_token": code.token}

    def approve(
        self,
        authorization_url: str,
        *,
        key: Any = None,
        alg: str = "RS256",
        kid: str | None = "one",
        **claims: Any,
    ) -> dict[str, str]:
        """Let somebody in; return what their browser brings back."""
        parts = urlsplit(authorization_url)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.url}/authorize"
        asked = {name: value[0] for name, value in parse_qs(parts.query).items()}
        assert (asked["client_id"], asked["response_type"]) == (CLIENT, "code")
        now = int(self.clock.now().timestamp())
        told = {
            "iss": self.url,
            "sub": "ana-1",
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "email": "Ana@Example.com",
            "email_verified": True,
            **claims,
        }
        told = {name: value for name, value in told.items() if value is not None}
        headers = {"kid": kid} if kid else None
        signer = self.rsa if key is None else key
        token = jwt.encode(told, None if alg == "none" else signer, alg, headers=headers)
        code = f"code-{len(self.codes)}-{asked['state']}"
        self.codes[code] = Code(asked, token)
        return {"state": asked["state"], "code": code}


def challenge(verifier: str) -> str:
    made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    return made.decode().rstrip("=")

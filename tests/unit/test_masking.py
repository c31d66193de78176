"""What is hidden, and what is not."""

from __future__ import annotations

import pytest

from kratos.masking import MASK, masked, secret


@pytest.mark.parametrize(
    "path",
    [
        "password", "db.password", "db.PASSWORD", "dbPassword", "DB_PASSWD", "pwd", "users[0].token", "access-token",
        "apiKey", "API_KEY", "signing_key", "signingKey", "tls.key", "jwt.keys[0]", "keys.a", "secret.name", "db_pass",
        "passPhrase", "passcode", "clientSecret", "credentials.user", "private_key", "authorization",
        'labels."a.token"', "Authorization", "JWTKey", "key",
    ],
)  # fmt: skip
def test_secrets(path: str) -> None:
    """These are secret by what they are called, and so is all below."""
    assert secret(path)


@pytest.mark.parametrize(
    "path",
    [
        "", "user", "server.http.addr", "bypass", "compass", "monkey", "keyboard", "hockey.team", "publicKey",
        "tls.public_key", "passenger", "donkeys", "keyed",
    ],
)  # fmt: skip
def test_others(path: str) -> None:
    """These are not, though some look like it."""
    assert not secret(path)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text: nothing = here", "plain text: nothing = here"),
        ("postgres://shop:pa:ss@db:5432/shop", "postgres://shop:***@db:5432/shop"),
        ("shop:pa@ss@tcp(db)/shop", "shop:***@tcp(db)/shop"),
        ("redis://:pw@cache", "redis://:***@cache"),
        ("host=db password=x user=y", "host=db password=*** user=y"),
        ("Server=db;Pwd=x;User=y", "Server=db;Pwd=***;User=y"),
        ("https://h/?api_key=x&token=y&z=1", "https://h/?api_key=***&token=***&z=1"),
        ('{"user": "u", "password": "a\\"b", "db_token":1}', '{"user": "u", "password": "***", "db_token":"***"}'),
        ("Authorization: Bearer abcdefgh.ijk", "Authorization: Bearer ***"),
        ("basic dXNlcjpwYXNz", "basic ***"),
        ("a basic thing", "a basic thing"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE", MASK),
        ("http://127.0.0.1:8000/x", "http://127.0.0.1:8000/x"),
    ],
)
def test_texts(text: str, shown: str) -> None:
    """Passwords within texts are hidden, and nothing else."""
    assert masked(text) == shown

"""What is hidden, and what is not."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from kratos.log import Redaction
from kratos.masking import MASK, is_secret, masked, secret


@pytest.mark.parametrize(
    "path",
    [
        "password", "db.password", "db.PASSWORD", "dbPassword", "DB_PASSWD", "pwd", "users[0].token", "access-token",
        "apiKey", "API_KEY", "signing_key", "signingKey", "tls.key", "jwt.keys[0]", "keys.a", "secret.name", "db_pass",
        "passPhrase", "passcode", "clientSecret", "credentials.user", "private_key", "authorization",
        'labels."a.token"', "Authorization", "JWTKey", "key", "headers.cookie", "encryptionKey", "tokens",
        "token_value", "PGPASSWORD", "dbpass_word", "sentry_dsn", "password2", "tls.keys",
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
        "secretary", "tokenizer.model", "max_tokens", "token_ttl", "cache.cache_key", "cookie_domain", "password_file",
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
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE", f"-----BEGIN RSA PRIVATE KEY-----{MASK}"),
        ("Authorization: abc", "Authorization: ***"),
        ("root:p@ss@localhost:3306/db", "root:***@localhost:3306/db"),
        ("http://127.0.0.1:8000/x", "http://127.0.0.1:8000/x"),
    ],
)
def test_texts(text: str, shown: str) -> None:
    """Passwords within texts are hidden, and nothing else."""
    assert masked(text) == shown


@pytest.mark.parametrize(
    "key", ["password", "dbPass", "signing_key", "tokens", "x-api-key", "cookie", "user", "cache_key"]
)
def test_one_set_of_rules(key: str) -> None:
    """What a key is called means the same in a configuration and in a log; a bare ``key`` is a log's own word."""
    assert secret(f"a.{key}") == is_secret(key) == Redaction().secret(key)
    assert (secret("key"), is_secret("key")) == (True, False)


def test_long_texts_are_cut_first() -> None:
    """What is cut off is not looked at, and a secret that the cut goes through is one."""
    assert masked("x" * 10, 4) == "xxxx…"
    assert masked("x" * 10, 10) == "x" * 10
    url = "redis://user:" + "s3cret" * 50 + "@h"
    assert masked(url, 20) == "redis://user:***@h…"
    assert len(masked("x " * 10**6)) < 70_000


def effort(mask: Callable[[str], str], text: str) -> float:
    """Returns the seconds of this thread's CPU that masking takes, at best: others may be at work meanwhile."""
    found: list[float] = []
    for _ in range(2):
        start = time.thread_time()
        mask(text)
        found.append(time.thread_time() - start)
    return min(found)


HOSTILE = [
    "QUJD", ":", "a:b,", '"', '"a', "a=", "a.", "password", "bearer ", "basic a", "basic aaaa/", "eyJ", "eyJaaaaa.",
    "-eyJaaaa", '"token', '"token":', "'a':'", "token=(", "token='", 'token="\\', "token=f", "token=a'", "://", "://:",
    "://:@", "://a:b@", "a:@", ":a@", "a-", "a-b", "a-key:", "cookie:", "authorization: basic ", "@tcp(", "a:b@tcp",
    "-----BEGIN PRIVATE KEY-----", "{[(", "=", "= ", "key =", "\t",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("end", ["", "@tcp(=:'\" bearer basic eyj -----begin -key authorization: cookie:"])
def test_no_text_takes_long(piece: str, end: str) -> None:
    """Twice the text takes some twice the time, whatever it is made of."""
    rules = Redaction()
    for mask in (masked, rules.text):
        small, large = (effort(mask, piece * (size // len(piece)) + end) for size in (8_000, 64_000))
        assert large < 30 * small + 0.2, piece

"""Settings: where they come from, and what a wrong one says."""

from base64 import b64encode
from pathlib import Path

import pytest

from peoplegraph.settings import Settings, SettingsError, proxy_for, unknown_variables, variables
from peoplegraph.systems import System

RPM = {"RPM_URL": "https://rpm.example/Api2.svc", "RPM_API_KEY": "secret-key"}
KEY = b64encode(b"k" * 32).decode()


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def put(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    """Set `PEOPLEGRAPH_…` variables."""
    for name, value in variables.items():
        monkeypatch.setenv(f"PEOPLEGRAPH_{name}", value)


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """One system is enough; the others are left out, and everything else has a default."""
    put(monkeypatch, **RPM)
    settings = Settings.load()
    assert list(settings.configured) == [System.RPM]
    assert settings.rpm.url == "https://rpm.example/Api2.svc"
    assert (settings.host, settings.port, settings.workers, settings.deadline_s) == ("127.0.0.1", 8000, 1, 10)
    assert (settings.rpm.concurrency, settings.collections.concurrency) == (20, 100)
    assert settings.current_assignee.value == "caller"


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set to nothing is as good as unset."""
    put(monkeypatch, **RPM, COLLECTIONS_URL="", PORT="")
    settings = Settings.load()
    assert list(settings.configured) == [System.RPM]
    assert settings.port == 8000


def test_no_secret_in_a_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys do not show where settings are shown."""
    put(monkeypatch, **RPM)
    assert "secret-key" not in repr(Settings.load())


def test_environment_over_dotenv_over_toml(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment wins over `.env`, which wins over the TOML file; blocks are laid over one another."""
    (tmp_path / "gateway.toml").write_text(
        'port = 1\nworkers = 2\ndeadline_s = 3\n[rpm]\nurl = "https://toml.example"\napi_key = "k"\n'
    )
    (tmp_path / ".env").write_text("PEOPLEGRAPH_PORT=4\nPEOPLEGRAPH_WORKERS=5\nOTHER=6\n")
    put(monkeypatch, CONFIG=str(tmp_path / "gateway.toml"), PORT="7", RPM_URL="https://env.example")
    settings = Settings.load()
    assert (settings.port, settings.workers, settings.deadline_s) == (7, 5, 3)
    assert settings.rpm.url == "https://env.example"
    assert settings.rpm.api_key is not None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"RPM_URL": ""}, "no system is configured: set at least one of PEOPLEGRAPH_COLLECTIONS_URL,"),
        ({"RPM_API_KEY": ""}, "PEOPLEGRAPH_RPM_API_KEY: is needed"),
        ({"RPM_API_KEY": "secret\nkey"}, "PEOPLEGRAPH_RPM_API_KEY: must be printable ASCII"),
        ({"RPM_API_KEY": " secret"}, "PEOPLEGRAPH_RPM_API_KEY: must be printable ASCII"),
        ({"RPM_URL": "rpm.example"}, "PEOPLEGRAPH_RPM_URL: must be an http(s) URL"),
        ({"RPM_URL": "ftp://rpm.example"}, "PEOPLEGRAPH_RPM_URL: must be an http(s) URL"),
        ({"RPM_URL": "https://rpm.example:x"}, "PEOPLEGRAPH_RPM_URL: must be an http(s) URL"),
        ({"RPM_URL": "https://me:secret/x@rpm.example"}, "PEOPLEGRAPH_RPM_URL: must be an http(s) URL"),
        ({"RPM_URL": "https://@rpm.example"}, "PEOPLEGRAPH_RPM_URL: must have no query, fragment or user"),
        ({"RPM_URL": "https://rpm.example/x?"}, "PEOPLEGRAPH_RPM_URL: must have no query, fragment or user"),
        ({"RPM_URL": "https://rpm..example"}, "PEOPLEGRAPH_RPM_URL: must be an http(s) URL"),
        ({"RPM_URL": f"https://{'a' * 64}.example"}, "PEOPLEGRAPH_RPM_URL: must be an http(s) URL"),
        ({"RPM_URL": "https://rpm.example/%zz"}, "PEOPLEGRAPH_RPM_URL: must be percent-encoded"),
        ({"RPM_URL": "https://rpm.example/%2e%2e/b"}, "PEOPLEGRAPH_RPM_URL: must have no . or .. in its path"),
        ({"RPM_URL": "https://caf\u00e9.example"}, "PEOPLEGRAPH_RPM_URL: must be an http(s) URL"),
        ({"RPM_URL": "https://rpm.example/a/../b"}, "PEOPLEGRAPH_RPM_URL: must have no . or .. in its path"),
        ({"RPM_URL": "https://rpm.example/\x7f"}, "PEOPLEGRAPH_RPM_URL: must be percent-encoded"),
        ({"RPM_URL": "https://rpm.example/a b"}, "PEOPLEGRAPH_RPM_URL: must be percent-encoded"),
        ({"RPM_URL": "https://rpm.example/é"}, "PEOPLEGRAPH_RPM_URL: must be percent-encoded"),
        ({"RPM_URL": "https://me:secret@rpm.example"}, "PEOPLEGRAPH_RPM_URL: must have no query, fragment or user"),
        ({"RPM_URL": "https://rpm.example?a=b"}, "PEOPLEGRAPH_RPM_URL: must have no query"),
        ({"RPM_URL": "http://rpm.example"}, "PEOPLEGRAPH_RPM_URL: plain http is for loopback"),
        ({"RPM_CREDENTIAL": "mine"}, "PEOPLEGRAPH_RPM_CREDENTIAL: Input should be 'gateway', 'caller' or"),
        ({"RPM_CONCURRENCY": "0"}, "PEOPLEGRAPH_RPM_CONCURRENCY: Input should be greater than"),
        ({"RPM_KEY": "secret"}, "PEOPLEGRAPH_RPM_KEY: there is no such setting"),
        ({"PORT": "tcp://10.0.0.1:80"}, "PEOPLEGRAPH_PORT: Input should be a valid integer"),
        ({"PORT": "70000"}, "PEOPLEGRAPH_PORT: Input should be less than"),
        ({"DEADLINE_S": "0"}, "PEOPLEGRAPH_DEADLINE_S: Input should be greater than 0"),
        ({"DEADLINE_S": "nan"}, "PEOPLEGRAPH_DEADLINE_S: Input should be"),
        ({"CURRENT_ASSIGNEE": "me"}, "PEOPLEGRAPH_CURRENT_ASSIGNEE: Input should be 'caller' or 'key-owner'"),
        (
            {"DISPUTES_URL": "https://d.example/v1", "DISPUTES_API_KEY": "k"},
            "PEOPLEGRAPH_DISPUTES_TENANT_ID: is needed",
        ),
        ({"DISPUTES_URL": "https://d.example/tenants/x"}, "PEOPLEGRAPH_DISPUTES_URL: must end before /tenants"),
        ({"SHARED_URL": "redis://store.example"}, "PEOPLEGRAPH_SHARED_KEY: is needed, since nothing is kept there"),
        ({"SHARED_URL": "http://:secret@store.example", "SHARED_KEY": KEY}, "PEOPLEGRAPH_SHARED_URL: must be like"),
        ({"SHARED_URL": "redis://:secret@", "SHARED_KEY": KEY}, "PEOPLEGRAPH_SHARED_URL: must be like"),
        ({"SHARED_URL": "redis://:secret@x:port/", "SHARED_KEY": KEY}, "PEOPLEGRAPH_SHARED_URL: must be like"),
        ({"SHARED_URL": "redis://x/secret", "SHARED_KEY": KEY}, "PEOPLEGRAPH_SHARED_URL: must be like"),
        (
            {"SHARED_URL": "redis://:secret/word@x:6379/0", "SHARED_KEY": KEY},
            (
                "PEOPLEGRAPH_SHARED_URL: must be like redis://host:6379/0, rediss://host:6379/0 (TLS) "
                "or unix:///path, with what is special in a password percent-encoded"
            ),
        ),
        (
            {"SHARED_URL": "rediss://:secret@x/0?ssl_cert_reqs=none", "SHARED_KEY": KEY},
            "PEOPLEGRAPH_SHARED_URL: has an option that it may not have; with rediss:// there may be: ssl_",
        ),
        (
            {"SHARED_URL": "redis://:secret@x/0?socket_timeout=1", "SHARED_KEY": KEY},
            "PEOPLEGRAPH_SHARED_URL: has an option that it may not have; with redis:// there may be: none",
        ),
        ({"SHARED_KEY": "secret"}, "PEOPLEGRAPH_SHARED_KEY: must be 32 random bytes in base64, as `openssl rand"),
        ({"SHARED_GROUP": "secret group"}, "PEOPLEGRAPH_SHARED_GROUP: String should match pattern"),
        ({"CONFIG": "nowhere.toml"}, "PEOPLEGRAPH_CONFIG: there is no file nowhere.toml"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], message: str
) -> None:
    """What is missing or malformed is said in a line with the variable's name, and never with a secret."""
    put(monkeypatch, **RPM | given)
    with pytest.raises(SettingsError) as error:
        Settings.load()
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_a_broken_toml_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A TOML file that cannot be parsed is named by its variable."""
    (tmp_path / "gateway.toml").write_text("port = = 1")
    put(monkeypatch, **RPM, CONFIG=str(tmp_path / "gateway.toml"))
    with pytest.raises(SettingsError, match=r"^PEOPLEGRAPH_CONFIG or .env: "):
        Settings.load()


def test_an_unknown_name_in_the_toml_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is no setting is not passed over in silence."""
    (tmp_path / "gateway.toml").write_text("prot = 1")
    put(monkeypatch, **RPM, CONFIG=str(tmp_path / "gateway.toml"))
    with pytest.raises(SettingsError, match=r"has prot, and there is no such setting$"):
        Settings.load()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]:1/x", "https://h/x/"])
def test_urls_that_are_fine(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Plain http is fine on loopback, https everywhere, and a trailing slash does not matter."""
    put(monkeypatch, **RPM | {"RPM_URL": url})
    assert Settings.load().rpm.url == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "redis://x",
        "redis://x:1/",
        "redis://user:pass@x:1/15",
        "rediss://x/0?ssl_ca_certs=/a&ssl_certfile=/b&ssl_keyfile=/c",
        "unix:///run/valkey.sock?db=1",
    ],
)
def test_stores_that_are_fine(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A store is at an address, with or without TLS, or on this machine."""
    put(monkeypatch, **RPM, SHARED_URL=url, SHARED_KEY=KEY)
    assert Settings.load().shared.url.get_secret_value() == url


def test_a_callers_credential_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `caller` the gateway needs no key of its own."""
    put(monkeypatch, RPM_URL="https://rpm.example", RPM_CREDENTIAL="caller")
    assert Settings.load().rpm.api_key is None


def test_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy is the one of the URL's scheme, but not for loopback, nor where `NO_PROXY` says so."""
    for name in ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_for("https://rpm.example/x") is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    assert proxy_for("https://rpm.example/x") == "http://proxy.example:3128"
    assert proxy_for("https://a.inside.example/x") is None
    assert proxy_for("http://127.0.0.1:8000") is None
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    assert proxy_for("https://rpm.example/x") == "http://proxy.example:3128"
    monkeypatch.setenv("HTTPS_PROXY", "socks5://me:secret@proxy.example")
    with pytest.raises(SettingsError, match=r"^HTTPS_PROXY or ALL_PROXY: a proxy must be an") as error:
        proxy_for("https://rpm.example/x")
    assert "secret" not in str(error.value)


def test_misspelled_variables_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable with the prefix that is no setting is told, with the one that was probably meant."""
    put(monkeypatch, **RPM, COLECTIONS_URL="x", WHATEVER_IT_IS="y")
    assert list(unknown_variables()) == [
        ("PEOPLEGRAPH_COLECTIONS_URL", "PEOPLEGRAPH_COLLECTIONS_URL"),
        ("PEOPLEGRAPH_WHATEVER_IT_IS", None),
    ]


VALUES = {
    "SHARED_URL": "redis://store.example:6379/0",
    "SHARED_KEY": KEY,
    "URL": "https://x.example",
    "JWT_ISSUER": "https://x.example",
    "JWKS_FILE": "",
    "CREDENTIAL": "caller",
    "HOST": "127.0.0.1",
    "ENGINE": "httpx",
    "ASSIGNEE": "key-owner",
    "API_KEYS": f'[{{"name": "x", "sha256": "{"0" * 64}", "scopes": "reps:read"}}]',
    "OPEN_SCOPES": "reps:read, reps:write",
    "CORS_ORIGINS": "https://x.example",
    "TRUSTED_DOCUMENTS": "off",
    "ALGORITHMS": "ES256",
    "LOG_FORMAT": "json",
    "LOG_LEVEL": "debug",
    "ALLOWED_HOSTS": "x.example *.x.example [::1]",
}
"""What settings may be, by how their names end; any other may be 1."""


def test_every_setting_can_be_set_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variable alone, and all at once, is read as the setting that it names."""
    values = {
        name.removeprefix("PEOPLEGRAPH_"): next((v for end, v in VALUES.items() if name.endswith(end)), "1")
        for name, _ in variables()
    }
    values["MAX_BODY_BYTES"] = values["MAX_DOCUMENT_CHARACTERS"] = values["MAX_DOCUMENT_TOKENS"] = "1000"
    put(monkeypatch, **values)
    everything = Settings.load()
    assert (everything.rpm.concurrency, everything.caller_sockets, everything.jwt.leeway_s) == (1, 1, 1)
    assert everything.keys_file == Path("1")
    assert everything.allowed_hosts == ("x.example", "*.x.example", "[::1]")
    assert [key.name for key in everything.api_keys] == ["x"]
    for name, value in values.items():
        for other in values:
            monkeypatch.delenv(f"PEOPLEGRAPH_{other}")
        put(monkeypatch, **(RPM | {"DISPUTES_TENANT_ID": "1", name: value}))
        if not name.startswith(("JWT_", "COLLECTIONS_URL", "DISPUTES_URL", "SHARED_URL")):
            Settings.load()
        put(monkeypatch, **values)


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"API_KEYS": "{"}, "PEOPLEGRAPH_API_KEYS: must be JSON, a list of objects"),
        ({"API_KEYS": "[" * 100_000}, "PEOPLEGRAPH_API_KEYS: must be JSON, a list of objects"),
        ({"API_KEYS": '[{"name": "x"}]'}, "PEOPLEGRAPH_API_KEYS: 0 sha256: Field required (and 1 more)"),
        ({"OPEN_SCOPES": "everything"}, "PEOPLEGRAPH_OPEN_SCOPES: 0: Input should be"),
        ({"CALLER_REQUESTS_PER_SECOND": "inf"}, "PEOPLEGRAPH_CALLER_REQUESTS_PER_SECOND: Input should be a finite"),
        ({"ALLOWED_HOSTS": "https://x.example"}, "PEOPLEGRAPH_ALLOWED_HOSTS: must be names without scheme"),
        ({"ALLOWED_HOSTS": "x.example:8000"}, "PEOPLEGRAPH_ALLOWED_HOSTS: must be names without scheme"),
        ({"ALLOWED_HOSTS": "*foo"}, "PEOPLEGRAPH_ALLOWED_HOSTS: must be names without scheme"),
        ({"JWT_ISSUER": "x"}, "PEOPLEGRAPH_JWT_AUDIENCE: is needed"),
        ({"JWT_ISSUER": "x", "JWT_AUDIENCE": "y"}, "PEOPLEGRAPH_JWT_JWKS_URL: is needed"),
        (
            {"JWT_ISSUER": "x", "JWT_AUDIENCE": "y", "JWT_JWKS_URL": "https://x", "JWT_JWKS_FILE": "y"},
            "PEOPLEGRAPH_JWT_JWKS_URL: there is PEOPLEGRAPH_JWT_JWKS_FILE, too",
        ),
        ({"JWT_AUDIENCE": "y"}, "PEOPLEGRAPH_JWT_ISSUER: is needed"),
        ({"JWT_ALGORITHMS": "HS256"}, "PEOPLEGRAPH_JWT_ALGORITHMS: has 'HS256'"),
        ({"HOST": "0.0.0.0"}, "PEOPLEGRAPH_HOST: 0.0.0.0 is not loopback, and everybody would be let in: set"),  # noqa: S104
    ],
)
def test_what_is_wrong_with_who_may_ask(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], complaint: str
) -> None:
    """It is one line, which begins with the variable."""
    put(monkeypatch, **RPM, **variables)
    with pytest.raises(SettingsError) as error:
        Settings.load()
    assert str(error.value).startswith(complaint)
    assert "\n" not in str(error.value)


def test_every_setting_has_its_help() -> None:
    """No setting is without a sentence that says what it does."""
    assert [name for name, field in variables() if not field.description] == []


def test_a_dotenv_file_is_no_second_class(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`.env` may name the TOML file, and a misspelled variable in it is noticed."""
    (tmp_path / "gateway.toml").write_text("port = 9")
    (tmp_path / ".env").write_text(f"PEOPLEGRAPH_CONFIG={tmp_path / 'gateway.toml'}\nPEOPLEGRAPH_PROT=1\n")
    put(monkeypatch, **RPM)
    assert Settings.load().port == 9
    assert list(unknown_variables()) == [("PEOPLEGRAPH_PROT", "PEOPLEGRAPH_PORT")]

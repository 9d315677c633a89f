"""What of the environment is no setting itself: files, proxies, and what is passed on to other processes."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from dotenv import dotenv_values

from peoplegraph.settings.blocks import is_loopback

PREFIX = "PEOPLEGRAPH_"


class SettingsError(Exception):
    """A setting is missing or malformed; the message is one line that names the variable."""


def setting_files() -> list[Path]:
    """Return the files that settings are read from, there or not."""
    toml = os.environ.get(f"{PREFIX}CONFIG") or dotenv_values(".env").get(f"{PREFIX}CONFIG")
    return [Path(".env"), *([Path(toml)] if toml else [])]


def pass_on(overrides: Mapping[str, Any]) -> None:
    """Put settings into the environment, for the processes that this one starts and that read it themselves."""
    for name, value in overrides.items():
        os.environ[f"{PREFIX}{name}".upper()] = str(value)


def share_metrics_in(folder: str) -> None:
    """Have the processes that this one starts write their metrics to a folder, so that each can tell of all."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder


def shared_metrics() -> Path | None:
    """Return the folder that the metrics of several processes are in, if they are."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Path(folder) if folder else None


def is_running(pid: int) -> bool:
    """Whether there is a process with this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


def nowhere() -> TextIO:
    """Return a file that takes everything, and keeps nothing."""
    return Path(os.devnull).open("w", encoding="utf-8")


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for a URL (`HTTPS_PROXY` and so on, less `NO_PROXY`), if any.

    Raises `SettingsError` for one that is not spoken to over http.
    """
    parts = urlsplit(url)
    if proxy_bypass(parts.netloc) or is_loopback(parts.hostname or ""):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return None
    scheme, separator, _ = proxy.partition("://")
    if not separator:
        return f"http://{proxy}"
    if scheme not in {"http", "https"}:
        raise SettingsError(f"{parts.scheme.upper()}_PROXY or ALL_PROXY: a proxy must be an http(s) URL")
    return proxy

"""What the gateways are asked, and the constant upstream that answers them: nginx over files."""

import contextlib
import json
import random
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

POINT = "query ($r: String!) { representative(reference: $r) { reference name email phone title } }"
LIST = """{ assignees(first: 200) { nodes {
  assigneeId firstName lastName email title active isDefault departmentId officePhone timezone
  address { city state zip } } } }"""
JOIN = """query ($r: [String!]!) { representatives(references: $r) {
  reference name supervisor { reference name } assignee { assigneeId email } } }"""
FIELDS = "{ reference name supervisor { reference name } assignee { assigneeId email } }"
ALIASED = "query ({}) {{ {} }}".format(
    " ".join(f"$r{i}: String!" for i in range(20)),
    " ".join(f"r{i}: representative(reference: $r{i}) {FIELDS}" for i in range(20)),
)
TENANT = "bench"
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_requests 100000000; open_file_cache max=1000; default_type application/json;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{
    listen 127.0.0.1:{port}; root {folder}/www;
    location ~ ^/representatives/(null)?$ {{ return 200 "null"; }}  # Tailcall looks nobody's supervisor up, too
    location = /status {{ stub_status; }}
  }}
}}
"""


def bodies(workload: str, count: int = 400, *, aliases: bool = False, distinct: bool = False) -> list[str]:
    """Return request bodies of a workload: A, one same reference or random ones; B; C, 20 random references.

    With `aliases` C asks for one representative twenty times, for who knows no list of keys. With `distinct` B
    asks each time for another number of assignees, and gets the same, from who shares equal queries all the same.
    """
    dice = random.Random(5)
    references = [f"REP-{number:03}" for number in range(1, 201)]
    asked: list[dict[str, object]] = []
    for number in range(count):
        match workload:
            case "A same":
                asked.append({"query": POINT, "variables": {"r": references[0]}})
            case "A":
                asked.append({"query": POINT, "variables": {"r": dice.choice(references)}})
            case "B" if distinct:
                query = LIST.replace("{ assignees(first: 200)", "query ($n: Int) { assignees(first: $n)")
                asked.append({"query": query, "variables": {"n": 200 + number}})
            case "B":
                asked.append({"query": LIST})
            case _:
                chosen = dice.sample(references, 20)
                if aliases:
                    asked.append({"query": ALIASED, "variables": {f"r{i}": r for i, r in enumerate(chosen)}})
                else:
                    asked.append({"query": JOIN, "variables": {"r": chosen}})
    return [json.dumps(body) for body in asked]


def answers() -> dict[str, str]:
    """Return what the systems answer, by path, from the emulated ones."""
    from peoplegraph.sandbox import Sandbox

    sandbox = Sandbox()
    disputes = f"/tenants/{TENANT}"
    assignees = list(sandbox.store.assignees)[:200]
    by_email: dict[str, Any] = {}
    for assignee in assignees:
        by_email.setdefault(((assignee["person"] or {}).get("email") or "").casefold(), assignee)
    found: dict[str, Any] = {
        f"{disputes}/assignees": assignees,
        f"{disputes}/departments": list(sandbox.store.departments),
    }
    for record in sandbox.store.representatives:
        found[f"/representatives/{quote(record['reference'], safe='')}"] = record
        if record["email"]:
            found[f"{disputes}/assignees-by-email/{record['email']}"] = by_email.get(record["email"].casefold())
    return {path: json.dumps(answer) for path, answer in found.items()}


def write_files(folder: Path) -> None:
    """Write the answers where nginx finds them."""
    for path, answer in answers().items():
        file = folder / "www" / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(answer)
    for path_ in (folder, *folder.rglob("*")):
        path_.chmod(0o755 if path_.is_dir() else 0o644)


@contextlib.contextmanager
def upstream(folder: Path, port: int, *, core: int | None = None) -> Iterator[str]:
    """Run nginx over the files."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        sys.exit("nginx is needed: apt-get install nginx-light")
    write_files(folder)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port))
    with started([nginx, "-c", str(config)], core=core):
        time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def slow_upstream(port: int, milliseconds: float) -> Iterator[str]:
    """Run the upstream that takes its time."""
    slow = Path(__file__).with_name("slow.py")
    with started([sys.executable, str(slow), str(port), str(milliseconds)], core=1):
        time.sleep(2)
        yield f"http://127.0.0.1:{port}"


def served(url: str) -> int:
    """Return how many requests nginx has served, this one left out."""
    with urllib.request.urlopen(f"{url}/status") as response:
        return int(response.read().split()[9]) - 1


@contextlib.contextmanager
def started(command: list[str], *, core: int | None = None, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command until the block ends, on one core if one is named."""
    pin = ["taskset", "-c", str(core)] if core is not None and shutil.which("taskset") else []
    process = subprocess.Popen([*pin, *command], **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        process.wait()

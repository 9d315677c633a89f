"""What the gateways are asked, and the constant upstream that answers them: nginx over files."""

import contextlib
import itertools
import json
import random
import shutil
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from processes import started

POINT = "query ($r: String!) { representative(reference: $r) { reference name email phone title } }"
LIST = """{ assignees(first: 200) { nodes {
  assigneeId firstName lastName email title active isDefault departmentId officePhone timezone
  address { city state zip } } } }"""
JOIN = """query ($r: [String!]!) { representatives(references: $r) {
  reference name supervisor { reference name } assignee { assigneeId email } } }"""
WRITE = """mutation ($r: String!, $t: String) { updateRepresentative(reference: $r, input: { title: $t }) {
  representative { reference title } errors { message } } }"""
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


def mixed(count: int, records: int, writes: float = 0.02) -> list[str]:
    """Return request bodies as a gateway may meet them: of many records some are asked for far more than others.

    One in ten is C, the others are A, and `writes` says which share changes a title. The record of rank r is asked
    for 1/r as often as the first one (Zipf).
    """
    dice = random.Random(7)
    references = [f"REP-{number:03}" for number in range(1, records + 1)]
    dice.shuffle(references)  # a rank is no number: supervisors have low ones
    weights = list(itertools.accumulate(1 / rank for rank in range(1, records + 1)))
    asked: list[dict[str, object]] = []
    for number in range(count):
        kind = dice.random()
        chosen = dice.choices(references, cum_weights=weights, k=20)
        if kind < writes:
            asked.append({"query": WRITE, "variables": {"r": chosen[0], "t": f"Title {number}"}})
        elif kind < writes + 0.1:
            asked.append({"query": JOIN, "variables": {"r": list(dict.fromkeys(chosen))}})
        else:
            asked.append({"query": POINT, "variables": {"r": chosen[0]}})
    return [json.dumps(body) for body in asked]


def answers(records: int | None = None) -> dict[str, str]:
    """Return what the systems answer, by path, from the emulated ones; with `records` there are so many more."""
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
    for record in representatives(list(sandbox.store.representatives), records):
        found[f"/representatives/{quote(record['reference'], safe='')}"] = record
        if record["email"]:
            found[f"{disputes}/assignees-by-email/{record['email']}"] = by_email.get(record["email"].casefold())
    return {path: json.dumps(answer) for path, answer in found.items()}


def representatives(known: list[dict[str, Any]], records: int | None) -> Iterator[dict[str, Any]]:
    """Return the emulated ones, or as many as are wanted: copies under other references, led by six times fewer."""
    if records is None:
        yield from known
        return
    for number in range(1, records + 1):
        supervisor = None if number == 1 else f"REP-{(number - 2) // 6 + 1:03}"
        place = {"reference": f"REP-{number:03}", "supervisor_representative_reference": supervisor}
        yield known[(number - 1) % 200] | place


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
def slow_upstream(port: int, milliseconds: float, records: int | None = None) -> Iterator[str]:
    """Run the upstream that takes its time, with the emulated records or with so many."""
    words = map(str, filter(None, (Path(__file__).with_name("slow.py"), port, milliseconds, records)))
    with started([sys.executable, *words], core=1):
        url = f"http://127.0.0.1:{port}"
        wait_for(url)
        yield url


def wait_for(url: str) -> None:
    """Wait until an upstream answers."""
    for _ in range(400):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/status", timeout=5):
            return
        time.sleep(0.05)
    sys.exit(f"{url} does not answer")


def slow_status(url: str) -> dict[str, float]:
    """Return what the slow upstream has been asked, and its CPU: see `slow.Upstream.status`."""
    with urllib.request.urlopen(f"{url}/status", timeout=30) as response:
        return dict(json.load(response))


def served(url: str) -> int:
    """Return how many requests nginx has served, this one left out."""
    with urllib.request.urlopen(f"{url}/status") as response:
        return int(response.read().split()[9]) - 1

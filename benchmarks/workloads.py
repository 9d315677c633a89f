"""What the gateways are asked, and the constant upstream that answers them: nginx over files."""

import contextlib
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

POINT = "query ($r: String!) { representative(reference: $r) { reference name email phone title } }"
LIST = """{ assignees(first: 200) { nodes {
  assigneeId firstName lastName email title active isDefault departmentId officePhone timezone
  address { city state zip } } } }"""
JOIN = """query ($r: [String!]!) { representatives(references: $r) {
  reference name supervisor { reference name } assignee { assigneeId email } } }"""
TENANT = "bench"
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_requests 100000000; open_file_cache max=1000; default_type application/json;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""


def bodies(workload: str, count: int = 400) -> list[str]:
    """Return request bodies of a workload: A, one same reference or random ones; B; C, 20 random references."""
    dice = random.Random(5)
    references = [f"REP-{number:03}" for number in range(1, 201)]
    asked: list[dict[str, object]] = []
    for _ in range(count):
        match workload:
            case "A same":
                asked.append({"query": POINT, "variables": {"r": references[0]}})
            case "A":
                asked.append({"query": POINT, "variables": {"r": dice.choice(references)}})
            case "B":
                asked.append({"query": LIST})
            case _:
                asked.append({"query": JOIN, "variables": {"r": dice.sample(references, 20)}})
    return [json.dumps(body) for body in asked]


def write_files(folder: Path) -> None:
    """Write what the systems answer, from the emulated ones."""
    from peoplegraph.sandbox import Sandbox

    sandbox = Sandbox()
    representatives, disputes = folder / "www/representatives", folder / f"www/tenants/{TENANT}"
    representatives.mkdir(parents=True)
    disputes.mkdir(parents=True)
    for record in sandbox.store.representatives:
        (representatives / quote(record["reference"], safe="")).write_text(json.dumps(record))
    assignees = list(sandbox.store.assignees)[:200]
    (disputes / "assignees").write_text(json.dumps(assignees))
    (disputes / "departments").write_text(json.dumps(list(sandbox.store.departments)))
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


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
def started(command: list[str], *, core: int | None = None, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command until the block ends, on one core if one is named."""
    pin = ["taskset", "-c", str(core)] if core is not None and shutil.which("taskset") else []
    process = subprocess.Popen([*pin, *command], **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        process.wait()

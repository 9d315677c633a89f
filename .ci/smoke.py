"""Start `peoplegraph demo`, ask its own query over real HTTP, look at its pages, and end it with Ctrl-C."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

demo = subprocess.Popen(
    [Path(sys.executable).with_name("peoplegraph"), "demo", "--port", "0"], stdout=subprocess.PIPE, text=True
)
try:
    printed = ""
    while "Ctrl-C" not in printed:
        line = demo.stdout.readline()
        if not line:
            sys.exit(f"demo ended early, with {demo.wait()}")
        printed += line
    url = re.search(r"http://\S+/graphql", printed)[0]
    query = re.search(r"^\{.*^\}", printed, re.DOTALL | re.MULTILINE)[0]
    request = urllib.request.Request(
        url, json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    answer = json.load(urllib.request.urlopen(request, timeout=10))
    print(json.dumps(answer))
    if "errors" in answer or None in answer["data"].values():
        sys.exit("demo did not answer its own query")
    for path in ("/graphql", "/dashboard"):
        page = urllib.request.Request(url.replace("/graphql", path), headers={"Accept": "text/html"})
        html = urllib.request.urlopen(page, timeout=10).read().decode()
        assets = re.findall(r'assets/[^"]+', html)
        if not any(asset.endswith(".js") for asset in assets):
            sys.exit(f"{path} has no assets of its own: the wheel was made without npm")
        for asset in assets:
            urllib.request.urlopen(url.replace("graphql", asset), timeout=10).read()
    demo.send_signal(signal.SIGINT)
    started = time.monotonic()
    code = demo.wait(10)
    if code != 0 or time.monotonic() - started > 2:
        sys.exit(f"demo ended with {code} after {time.monotonic() - started:.1f} s")
finally:
    demo.kill()

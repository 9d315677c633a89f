"""Start `peoplegraph demo`, ask the query that it prints over real HTTP, and end it with Ctrl-C."""

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
    demo.send_signal(signal.SIGINT)
    started = time.monotonic()
    code = demo.wait(10)
    if code != 0 or time.monotonic() - started > 2:
        sys.exit(f"demo ended with {code} after {time.monotonic() - started:.1f} s")
finally:
    demo.kill()

"""The dashboard and the alerts: Grafana can read them, and Prometheus has what they ask for."""

import asyncio
import json
import math
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.parser import text_string_to_metric_families

from peoplegraph.sandbox import Blocks, Sandbox
from tests.deploy.containerfile import ROOT
from tests.deploy.metrics import ask, asked
from tests.observe.processes import free_port

GRAFANA = ROOT / "docs/grafana"
ALERTS = GRAFANA / "alerts.yaml"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "peoplegraph.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = [(panel, target) for panel in PANELS for target in panel["targets"]]
RULES = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"][0]["rules"]
SCRAPED = {"job", "instance"}
"""The labels that Prometheus adds."""


def prepared(expression: str) -> str:
    """Put values for Grafana's variables."""
    return expression.replace("$__rate_interval", "15s").replace("$job", ".*").replace("$instance", ".*")


EXPRESSIONS = [*(prepared(target["expr"]) for _, target in TARGETS), *(rule["expr"] for rule in RULES)]


def test_grafana_knows_every_field() -> None:
    """Decoded by Grafana's own types and encoded again, nothing of the dashboard is lost, or otherwise."""
    register_default_plugins()
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(DASHBOARD)))
    assert list(differences(DASHBOARD, again, "")) == []


def differences(here: Any, there: Any, path: str) -> Iterator[str]:
    """Yield the paths at which the one has what the other has not."""
    if isinstance(here, dict) and isinstance(there, dict):
        for name, value in here.items():
            yield from differences(value, there.get(name), f"{path}/{name}")
    elif isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        for index, value in enumerate(here):
            yield from differences(value, there[index], f"{path}/{index}")
    elif here != there:
        yield path


def test_a_field_that_grafana_does_not_know_is_found() -> None:
    """What passes the test above has no misspelt field, whether the dashboard's or a panel's."""
    register_default_plugins()
    wrong = json.loads(json.dumps(DASHBOARD))
    wrong["titel"] = "x"
    wrong["panels"][1]["options"]["colourMode"] = "value"
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(wrong)))
    assert list(differences(wrong, again, "")) == ["/panels/1/options/colourMode", "/titel"]


def test_it_names_no_data_source() -> None:
    """Whoever loads it chooses the Prometheus: no uid is in it but that of its own variable."""
    sources = [thing["datasource"] for panel, target in TARGETS for thing in (panel, target)]
    variables = DASHBOARD["templating"]["list"]
    sources += [variable["datasource"] for variable in variables if variable["type"] == "query"]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
    assert (variables[0]["name"], variables[0]["type"], variables[0]["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    assert DASHBOARD["schemaVersion"] >= 38  # Grafana 10
    assert (DASHBOARD["uid"], "id" in DASHBOARD) == ("peoplegraph", False)


def test_every_panel_says_what_it_shows() -> None:
    """Each has a title, a description and a unit; each series a name, where there are several."""
    for panel in PANELS:
        assert panel["title"], panel
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"], panel["title"]
        if panel["type"] not in {"stat", "table"}:
            assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_no_panel_covers_another() -> None:
    """Every place of the grid, 24 wide, has one panel at most."""
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]


def selections(expression: Any) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric that is selected, and the labels that it must have: to be matched, or to be summed by."""
    match expression:
        case promql_parser.VectorSelector(name=str(name), matchers=matchers):
            yield name, {matcher.name for matcher in matchers.matchers}
        case promql_parser.MatrixSelector(vector_selector=inner):
            yield from selections(inner)
        case promql_parser.AggregateExpr(expr=inner, modifier=modifier):
            by = set(modifier.labels) if modifier else set()
            yield from ((name, labels | by) for name, labels in selections(inner))
        case promql_parser.BinaryExpr(lhs=left, rhs=right):
            yield from selections(left)
            yield from selections(right)
        case promql_parser.Call(args=arguments):
            for argument in arguments:
                yield from selections(argument)
        case promql_parser.ParenExpr(expr=inner):
            yield from selections(inner)
        case _:
            assert isinstance(expression, promql_parser.NumberLiteral), expression


async def test_every_metric_and_label_is_there(sandbox: Sandbox, blocks: Blocks) -> None:
    """What the dashboard and the alerts select is told by a gateway that has served, and they leave out nothing."""
    async with asked(sandbox, blocks) as (_, client):
        text = (await client.get("/metrics")).text
    told: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            told.setdefault(sample.name, set()).update(sample.labels)
    selected = set()
    for expression in EXPRESSIONS:
        found = list(selections(promql_parser.parse(expression)))
        assert found, expression
        for name, labels in found:
            assert labels - SCRAPED <= told[name], expression
            selected.add(name)
    ours = {name for name in told if re.fullmatch(r"peoplegraph_(?!.*(_created|_sum|_count)$).+", name)}
    assert ours <= selected


@asynccontextmanager
async def prometheus(folder: Path, target: str) -> AsyncIterator[httpx.AsyncClient]:
    """Run a Prometheus that scrapes a gateway, until the block ends."""
    command, port = shutil.which("prometheus"), free_port()
    if command is None:
        pytest.skip("there is no prometheus: apt-get install prometheus")
    jobs = [{"job_name": "peoplegraph", "static_configs": [{"targets": [target.removeprefix("http://")]}]}]
    config = folder / "prometheus.yml"
    config.write_text(
        json.dumps({"global": {"scrape_interval": "1s"}, "rule_files": [str(ALERTS)], "scrape_configs": jobs})
    )
    arguments = (
        f"--config.file={config}",
        f"--storage.tsdb.path={folder}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(command, *arguments, stdout=log, stderr=log)
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1") as client:
                yield client
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), 30)


async def evaluated(client: httpx.AsyncClient, expression: str) -> list[dict[str, Any]]:
    """Return the series that an expression has now, those that are no number left out."""
    try:
        reply = await client.get("/query", params={"query": prepared(expression)})
    except httpx.TransportError:  # it has not begun yet
        return []
    if reply.status_code == 503:
        return []
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["data"]["result"]
    return [series for series in found if math.isfinite(float(series["value"][1]))]


async def test_a_real_prometheus_has_what_each_panel_asks(sandbox: Sandbox, blocks: Blocks, tmp_path: Path) -> None:
    """Over a gateway that is asked all the while each query has a number, with the labels that its legend names."""
    waiting = {target["expr"]: target["legendFormat"] for _, target in TARGETS}
    async with (
        asked(sandbox, blocks) as (served, gateway),
        prometheus(tmp_path, served.url) as client,
        asyncio.timeout(60),
    ):
        while waiting:
            await ask(gateway)
            for expression, legend in list(waiting.items()):
                for series in await evaluated(client, expression):
                    assert set(re.findall(r"{{(\w+)}}", legend)) <= series["metric"].keys(), expression
                    waiting.pop(expression, None)
        for name in ("job", "instance"):
            reply = await client.get(f"/label/{name}/values", params={"match[]": "peoplegraph_ready"})
            assert len(reply.json()["data"]) == 1
        groups = (await client.get("/rules")).json()["data"]["groups"]
        assert [rule["name"] for rule in groups[0]["rules"]] == [rule["alert"] for rule in RULES]


def test_the_alerts_are_fired_by_what_they_name(tmp_path: Path) -> None:
    """Each fires where things are wrong, and none where all is well or something was wrong for a moment."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool: apt-get install prometheus")
    cases = (Path(__file__).parent / "alerts.test.yaml").read_text(encoding="utf-8")
    assert {rule["alert"] for rule in RULES} == set(re.findall(r'alertname="(\w+)"', cases))
    file = tmp_path / "alerts.test.yaml"
    file.write_text(cases.replace("[ALERTS]", f"[{ALERTS}]"), encoding="utf-8")
    for arguments in (["check", "rules", str(ALERTS)], ["test", "rules", str(file)]):
        done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_says_what_to_do() -> None:
    """Each has a summary, a description and a severity."""
    for rule in RULES:
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"].keys() == {"summary", "description"}

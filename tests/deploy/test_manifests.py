"""The manifests: Kubernetes knows every field; they agree with one another, with the image and with the gateway."""

import copy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from pydantic import SecretStr

import peoplegraph
from peoplegraph.scopes import Scope
from peoplegraph.settings import Settings, variables
from peoplegraph.systems import System
from tests.access.callers import entry
from tests.deploy.containerfile import ROOT, environment, instruction
from tests.observe.processes import free_port, serving
from tests.shared.store import KEY, running_store

FOLDER = ROOT / "deploy/kubernetes"
VERSIONS = ("1.27", kubernetes_validate.latest_version())
"""The oldest Kubernetes with everything that the manifests ask for, and the newest that is known."""


def read(path: Path) -> Any:
    """Read the one document of a file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


KUSTOMIZATION = read(FOLDER / "kustomization.yaml")
FILES = sorted(
    str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml"
)
MANIFESTS = {manifest["kind"]: manifest for manifest in (read(path) for path in FOLDER.glob("[!k]*.yaml"))}
STORE = {manifest["kind"]: manifest for manifest in (read(path) for path in FOLDER.glob("store/[!k]*.yaml"))}
POD = MANIFESTS["Deployment"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
STORE_POD = STORE["StatefulSet"]["spec"]["template"]
(STORE_CONTAINER,) = STORE_POD["spec"]["containers"]
PORTS = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
CONFIG: dict[str, str] = MANIFESTS["ConfigMap"]["data"]
FIELDS = dict(variables())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", FILES)
def test_kubernetes_knows_every_field(name: str, version: str) -> None:
    """Each manifest is valid by the strict schema of its kind: no field is unknown, missing, or of another type."""
    kubernetes_validate.validate(read(FOLDER / name), version, strict=True)


def test_the_schemas_are_strict() -> None:
    """A misspelt field is found: what the test above passes has none."""
    manifest = read(FOLDER / "deployment.yaml")
    manifest["spec"]["template"]["spec"]["terminationGracePeriod"] = 30
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)


def test_the_kustomization_has_them_all() -> None:
    """Every file is applied, and the image that is renamed and tagged is the one that the pod runs."""
    store = read(FOLDER / "store/kustomization.yaml")
    listed = [*KUSTOMIZATION["resources"], *(f"store/{name}" for name in store["resources"])]
    assert sorted(listed) == sorted([*FILES, "store"])
    (image,) = KUSTOMIZATION["images"]
    assert (image["name"], image["newTag"]) == (CONTAINER["image"], peoplegraph.__version__)


def test_kustomize_gives_what_the_files_say() -> None:
    """`kubectl kustomize` renders every manifest as it is written, the image's name and tag apart."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("there is no kubectl: apt-get install kubernetes-client")
    done = subprocess.run([kubectl, "kustomize", str(FOLDER)], capture_output=True, text=True, check=True)
    rendered = list(yaml.safe_load_all(done.stdout))
    written = copy.deepcopy([*MANIFESTS.values(), *STORE.values()])
    (image,) = KUSTOMIZATION["images"]
    for manifest in written:
        if manifest["kind"] == "Deployment":
            (container,) = manifest["spec"]["template"]["spec"]["containers"]
            container["image"] = f"{image['newName']}:{image['newTag']}"
    assert len(rendered) == len(written)
    assert all(manifest in rendered for manifest in written)


def test_every_variable_is_a_setting() -> None:
    """The ConfigMap, the pod and the image set what the gateway knows, and nothing twice."""
    named = [variable["name"] for variable in CONTAINER["env"]]
    image = [name for name in environment() if name.startswith("PEOPLEGRAPH_")]
    assert {*CONFIG, *named, *image} <= FIELDS.keys()
    assert len({*CONFIG, *named, *image}) == len([*CONFIG, *named, *image])


def test_secrets_are_references() -> None:
    """No manifest is a Secret; each variable that is one comes from a Secret, and no other does."""
    assert "Secret" not in {*MANIFESTS, *STORE}
    secret = {name for name, field in FIELDS.items() if SecretStr.__name__ in str(field.annotation)}
    assert len(secret) == len([*System, "url", "key"])
    assert not secret & CONFIG.keys()
    assert {variable["name"] for variable in CONTAINER["env"]} == secret
    for variable in [*CONTAINER["env"], *STORE_CONTAINER["env"]]:
        assert variable.keys() == {"name", "valueFrom"}
        assert variable["valueFrom"].keys() == {"secretKeyRef"}


async def test_the_gateway_takes_them(tmp_path: Path) -> None:
    """With the manifests' settings it begins, passes each probe, has its metrics on their port, and the store."""
    key, known = entry("app", Scope.REPS_READ)
    keys = tmp_path / "keys.toml"
    scopes = ", ".join(f'"{scope}"' for scope in known["scopes"])
    keys.write_text(f'[[api_keys]]\nname = "app"\nsha256 = "{known["sha256"]}"\nscopes = [{scopes}]\n')
    metrics_port = str(free_port())
    settings = {
        **environment(),
        **CONFIG,
        **{variable["name"]: "k" for variable in CONTAINER["env"]},
        "PEOPLEGRAPH_SHARED_KEY": KEY,
        "PEOPLEGRAPH_HOST": "127.0.0.1",
        "PEOPLEGRAPH_METRICS_HOST": "127.0.0.1",
        "PEOPLEGRAPH_METRICS_PORT": metrics_port,
        "PEOPLEGRAPH_KEYS_FILE": str(keys),
        "PEOPLEGRAPH_DRAIN_S": "0",
    }
    del settings["PATH"]
    arguments = [argument.replace("$(PASSWORD)", "word") for argument in STORE_CONTAINER["args"]]
    async with running_store(tmp_path, *arguments) as store:
        settings["PEOPLEGRAPH_SHARED_URL"] = store.url.replace("//", "//:word@")
        await _takes_them(settings, key, metrics_port)


async def _takes_them(settings: dict[str, str], key: str, metrics_port: str) -> None:
    async with serving(**settings) as served, httpx.AsyncClient(base_url=served.url) as client:
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe = CONTAINER[kind]["httpGet"]
            assert probe["port"] == "http"
            assert (await client.get(probe["path"], headers={"host": "10.0.0.7"})).status_code == 200, kind
        name = CONFIG["PEOPLEGRAPH_ALLOWED_HOSTS"]
        for credential, status in (({}, 401), ({"authorization": f"Bearer {key}"}, 200)):
            asked = await client.post(
                "/graphql", json={"query": "{ __typename }"}, headers={"host": name} | credential
            )
            assert asked.status_code == status
        path = POD["metadata"]["annotations"]["prometheus.io/path"]
        told = await client.get(f"http://127.0.0.1:{metrics_port}{path}")
        assert "\npeoplegraph_ready 1.0\n" in told.text
        assert "\npeoplegraph_group_up 1.0\n" in told.text


def test_the_ports_match() -> None:
    """The Service, the policy, Prometheus and the probes mean the ports that the gateway listens on."""
    assert str(PORTS["http"]) == environment()["PEOPLEGRAPH_PORT"] == instruction("EXPOSE")
    assert str(PORTS["metrics"]) == CONFIG["PEOPLEGRAPH_METRICS_PORT"]
    assert POD["metadata"]["annotations"]["prometheus.io/port"] == str(PORTS["metrics"])
    assert [port["targetPort"] for port in MANIFESTS["Service"]["spec"]["ports"]] == ["http"]
    allowed = [port["port"] for rule in MANIFESTS["NetworkPolicy"]["spec"]["ingress"] for port in rule["ports"]]
    assert allowed == list(PORTS)
    for name in ("PEOPLEGRAPH_METRICS_HOST", "PEOPLEGRAPH_HOST"):
        assert (environment() | CONFIG)[name] == "0.0.0.0"  # noqa: S104  # of a pod's own network


def test_no_service_sets_a_setting() -> None:
    """Kubernetes would set variables named after each Service, and one of them is the setting of the port."""
    prefix = MANIFESTS["Service"]["metadata"]["name"].upper().replace("-", "_")
    assert f"{prefix}_PORT" in FIELDS
    assert POD["spec"]["enableServiceLinks"] is False


def test_the_times_add_up() -> None:
    """A pod that ends has time to drain and to answer, and drains for as long as a probe needs to notice."""
    drain_s, grace_s = float(CONFIG["PEOPLEGRAPH_DRAIN_S"]), float(CONFIG["PEOPLEGRAPH_GRACE_S"])
    assert POD["spec"]["terminationGracePeriodSeconds"] == drain_s + grace_s + 5
    assert grace_s > Settings.model_fields["deadline_s"].default
    probe = CONTAINER["readinessProbe"]
    assert drain_s >= probe["periodSeconds"] * probe["failureThreshold"]
    assert (CONTAINER["startupProbe"]["httpGet"], CONTAINER["livenessProbe"]["httpGet"]["path"]) == (
        probe["httpGet"],
        "/healthz",
    )


def test_nothing_is_allowed_that_is_not_needed() -> None:
    """The pod is the image's user, and may neither become another, nor write, nor ask the cluster."""
    user, group = map(int, instruction("USER").split(":"))
    assert (user, group) > (0, 0)
    assert POD["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": group,
        "fsGroup": group,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["spec"]["automountServiceAccountToken"] is False
    assert MANIFESTS["ServiceAccount"]["automountServiceAccountToken"] is False
    assert MANIFESTS["ServiceAccount"]["metadata"]["name"] == POD["spec"]["serviceAccountName"]


def test_changed_keys_arrive() -> None:
    """The keys' file is in a folder that a Secret is mounted as, whole, readable by the pod's group alone."""
    (mount,) = (mount for mount in CONTAINER["volumeMounts"] if mount["name"] == "keys")
    assert "subPath" not in mount
    assert str(Path(CONFIG["PEOPLEGRAPH_KEYS_FILE"]).parent) == mount["mountPath"]
    (volume,) = (volume for volume in POD["spec"]["volumes"] if volume["name"] == "keys")
    assert volume["secret"]["defaultMode"] == 0o440


def test_one_goes_and_one_stays() -> None:
    """There are at least two pods, one at a time may go, and no manifest but the autoscaler's says how many."""
    scaler = MANIFESTS["HorizontalPodAutoscaler"]["spec"]
    assert scaler["scaleTargetRef"]["name"] == MANIFESTS["Deployment"]["metadata"]["name"]
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]
    assert MANIFESTS["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    assert "replicas" not in MANIFESTS["Deployment"]["spec"]
    assert MANIFESTS["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_all_pods_together_call_no_more_than_one_may() -> None:
    """They share a store, and so the bounds of each system: none is divided, and none is set for a pod alone."""
    named = {variable["name"] for variable in CONTAINER["env"]}
    assert {"PEOPLEGRAPH_SHARED_URL", "PEOPLEGRAPH_SHARED_KEY"} <= named
    assert CONFIG["PEOPLEGRAPH_WORKERS"] == "1"
    assert not [name for name in CONFIG if name.endswith(("_CONCURRENCY", "_CALLS_PER_SECOND", "_CACHE_TTL_S"))]


def test_there_is_one_store() -> None:
    """At most one at a time, whatever becomes of a node: gateways of two would not see each other's writes."""
    assert "Deployment" not in STORE
    assert STORE["StatefulSet"]["spec"]["replicas"] == 1
    assert STORE["StatefulSet"]["spec"]["serviceName"] == STORE["Service"]["metadata"]["name"]


def test_the_store_keeps_nothing_on_a_disk() -> None:
    """It has no volume, drops answers before anything else, and has room for what its memory is beside them."""
    arguments = STORE_CONTAINER["args"]
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert "volumes" not in STORE_POD["spec"]
    assert (options["--save"], options["--maxmemory-policy"]) == ("", "volatile-lru")
    most, limit = int(options["--maxmemory"].removesuffix("mb")), STORE_CONTAINER["resources"]["limits"]["memory"]
    assert int(limit.removesuffix("Mi")) >= 2 * most
    assert STORE_CONTAINER["securityContext"] == CONTAINER["securityContext"]
    restricted = STORE_POD["spec"]["securityContext"]
    assert restricted.items() <= POD["spec"]["securityContext"].items()
    assert restricted["runAsNonRoot"]


def test_the_gateways_alone_reach_the_store() -> None:
    """Their policy lets them out to it, its own lets them in, and nobody else; its Service has its port."""
    labels = STORE_POD["metadata"]["labels"]
    (port,) = STORE_CONTAINER["ports"]
    (rule,) = STORE["NetworkPolicy"]["spec"]["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": POD["metadata"]["labels"]}}]
    assert [each["port"] for each in rule["ports"]] == [port["name"]]
    assert "egress" not in STORE["NetworkPolicy"]["spec"]
    assert STORE["NetworkPolicy"]["spec"]["policyTypes"] == ["Ingress", "Egress"]
    out = {"to": [{"podSelector": {"matchLabels": labels}}], "ports": [{"port": 6379, "protocol": "TCP"}]}
    assert out in MANIFESTS["NetworkPolicy"]["spec"]["egress"]
    assert port["containerPort"] == 6379
    assert STORE["Service"]["spec"]["selector"] == labels != POD["metadata"]["labels"]
    assert [(each["port"], each["targetPort"]) for each in STORE["Service"]["spec"]["ports"]] == [
        (6379, port["name"])
    ]
    for selector in (STORE["StatefulSet"]["spec"]["selector"], STORE["NetworkPolicy"]["spec"]["podSelector"]):
        assert selector == {"matchLabels": labels}


def test_all_mean_the_same_pods() -> None:
    """Whatever selects pods selects those of the Deployment."""
    labels = POD["metadata"]["labels"]
    assert MANIFESTS["Service"]["spec"]["selector"] == labels
    selectors = [MANIFESTS[kind]["spec"]["selector"] for kind in ("Deployment", "PodDisruptionBudget")]
    selectors += [spread["labelSelector"] for spread in POD["spec"]["topologySpreadConstraints"]]
    selectors += [MANIFESTS["NetworkPolicy"]["spec"]["podSelector"]]
    assert selectors == [{"matchLabels": labels}] * 5

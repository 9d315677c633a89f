"""docs/deployment.md: what it says of files, settings, secrets and figures is so."""

import re

from peoplegraph.settings import variables
from tests.deploy.containerfile import ROOT
from tests.deploy.test_manifests import CONFIG, CONTAINER, MANIFESTS, POD, STORE_CONTAINER

PAGE = (ROOT / "docs/deployment.md").read_text(encoding="utf-8")
COMMANDS = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).replace("\\\n", " ")


def test_what_it_names_exists() -> None:
    """Every file that it links to is there, and every variable is a setting."""
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", PAGE) if "://" not in link]
    assert len(links) > 5
    assert all((ROOT / "docs" / link).exists() for link in links)
    assert set(re.findall(r"PEOPLEGRAPH_[A-Z_]+[A-Z]", PAGE)) <= {name for name, _ in variables()}


def test_its_secrets_are_those_of_the_manifests() -> None:
    """The commands make the Secrets that the pods ask for, with the keys that they ask for."""
    made: dict[str, set[str]] = {}
    for name, rest in re.findall(r"kubectl create secret generic (\S+)(.*)", COMMANDS):
        made[name] = set(re.findall(r"--from-\w+=([\w.]+)=", rest))
    asked: dict[str, set[str]] = {}
    for variable in [*CONTAINER["env"], *STORE_CONTAINER["env"]]:
        reference = variable["valueFrom"]["secretKeyRef"]
        asked.setdefault(reference["name"], set()).add(reference["key"])
    for volume in POD["spec"]["volumes"]:
        if "secret" in volume:
            asked[volume["secret"]["secretName"]] = {CONFIG["PEOPLEGRAPH_KEYS_FILE"].rsplit("/", 1)[1]}
    assert made == asked


def test_its_figures_are_those_of_the_manifests() -> None:
    """What it derives from the measurements is what the manifests ask for."""
    derived = dict(re.findall(r"^\| ([\w ]+) \| `(\w+)` \|", PAGE, re.MULTILINE))
    scaler = MANIFESTS["HorizontalPodAutoscaler"]["spec"]
    assert derived == {
        "CPU requested": CONTAINER["resources"]["requests"]["cpu"],
        "memory requested": CONTAINER["resources"]["requests"]["memory"],
        "memory limit": CONTAINER["resources"]["limits"]["memory"],
        "CPU from which on there is another pod": scaler["metrics"][0]["resource"]["target"]["averageValue"],
        "pods at least": str(scaler["minReplicas"]),
        "pods at most": str(scaler["maxReplicas"]),
    }
    assert "cpu" not in CONTAINER["resources"]["limits"]

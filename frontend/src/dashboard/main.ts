// The dashboard: what is in the address after # decides which view is shown.

import "./styles/base.css";
import "./styles/top.css";
import "./styles/view.css";
import "./styles/views.css";
import "./styles/narrow.css";
import { credential, keepCredential } from "./credential";
import { showDepartments } from "./departments";
import { byId, element, fill } from "./dom";
import { Unauthenticated } from "./gateway";
import { showPerson } from "./person";
import { showSystems } from "./systems";
import { showTree } from "./tree";
import type { Show } from "./view";
import { watchSystems } from "./watch";

const VIEWS: Record<string, Show> = {
  person: showPerson,
  departments: showDepartments,
  tree: showTree,
  systems: showSystems,
};

let shown = 0;
let leave: (() => void) | undefined;

async function show(): Promise<void> {
  const mine = ++shown;
  const place = new URLSearchParams(location.hash.slice(1));
  const name = Object.keys(VIEWS).find((each) => place.has(each)) ?? "person";
  for (const link of document.querySelectorAll<HTMLAnchorElement>("nav a")) {
    link.toggleAttribute("aria-current", link.dataset.view === name);
    if (link.dataset.view === name) {
      link.setAttribute("aria-current", "page");
    }
  }
  leave?.();
  leave = undefined;
  const main = byId("main");
  const view = element("div", { class: `view view-${name}` });
  fill(main, view);
  try {
    const done = await VIEWS[name]!(view, place, () => mine === shown);
    if (mine === shown) {
      leave = done ?? undefined;
    } else {
      done?.();
    }
  } catch (error) {
    if (mine === shown && !(error instanceof Unauthenticated)) {
      view.append(element("p", { class: "problem", role: "alert" }, `The gateway cannot be reached. (${String(error)})`));
    }
  }
}

function again(): void {
  byId("forget").hidden = credential() === null;
  watchSystems();
  void show();
}

document.querySelector(".skip")!.addEventListener("click", (event) => {
  event.preventDefault(); // what is after # is the view
  byId("main").focus();
});

const graphiql = byId("dashboard").dataset.graphiql;
if (graphiql) {
  const link = byId<HTMLAnchorElement>("graphiql-link");
  link.href = graphiql;
  link.hidden = false;
}

keepCredential(again);
addEventListener("hashchange", () => void show());
again();


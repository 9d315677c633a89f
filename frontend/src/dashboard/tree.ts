// Who leads whom, around representatives. Collections tells it upwards only: several references show who shares a
// supervisor.

import { element } from "./dom";
import { ask, type Problem } from "./gateway";
import { type Led, TREE } from "./queries";
import { at, go, problem, say, search, type Show, title, waiting } from "./view";

const MOST_REFERENCES = 100;
const MOST_QUERIES = 10;

export const showTree: Show = async (view, place, isCurrent) => {
  const text = place.get("tree") ?? "";
  const references = [...new Set(text.split(/[\s,;]+/).filter(Boolean))].slice(0, MOST_REFERENCES);
  view.append(
    title("Supervisors", "Everybody above a representative, up to the top."),
    search({
      label: "References, with commas between",
      hint: "REP-001, REP-002",
      value: references.join(", "),
      button: "Show",
      onSearch: (sought) => go({ tree: sought }),
    }),
    element("p", { class: "quiet-text" }, "Collections tells who leads somebody, not whom somebody leads: add more references to see them under the same supervisor."),
  );
  if (!references.length) {
    view.querySelector("input")?.focus();
    return;
  }
  const wait = waiting();
  view.append(wait);
  const { known, problems } = await gather(references, isCurrent).finally(() => wait.remove());
  if (!isCurrent()) {
    return;
  }
  const missing = references.filter((reference) => !known.has(reference));
  view.append(
    ...problems.map(problem),
    ...(problems.length ? [] : missing.map((each) => element("p", { class: "reason" }, `Nobody has the reference ${each}.`))),
    element(
      "ul",
      { class: "tree", "aria-label": "Supervisor tree" },
      ...topsOf(known).map((led) => branch(led, known, new Set(references), new Set())),
    ),
  );
  say(`${known.size} representatives.`);
};

/** Ask upwards, several levels at once, until there is nobody above. */
async function gather(
  references: string[],
  isCurrent: () => boolean,
): Promise<{ known: Map<string, Led>; problems: Problem[] }> {
  const known = new Map<string, Led>();
  const problems: Problem[] = [];
  let wanted = references;
  for (let query = 0; query < MOST_QUERIES && wanted.length && isCurrent(); query++) {
    const answer = await ask<{ representatives: (Led | null)[] }>(TREE, { references: wanted.slice(0, MOST_REFERENCES) });
    problems.push(...answer.problems);
    const asked = new Set(wanted);
    for (const found of answer.data?.representatives ?? []) {
      for (let led = found ?? null; led; led = led.supervisor ?? null) {
        known.set(led.reference, led);
      }
    }
    const above = [...known.values()].map((led) => led.supervisorReference);
    wanted = [...new Set(above)].filter((each): each is string => each !== null && !known.has(each) && !asked.has(each));
    if (problems.length) {
      break;
    }
  }
  return { known, problems };
}

/** Those with nobody above that is known; where all lead each other in a circle, one of them. */
function topsOf(known: Map<string, Led>): Led[] {
  const tops = [...known.values()].filter((led) => !led.supervisorReference || !known.has(led.supervisorReference));
  return tops.length || !known.size ? tops : [known.values().next().value!];
}

function branch(
  led: Led,
  known: Map<string, Led>,
  wanted: Set<string>,
  above: Set<string>,
): HTMLElement {
  const below = [...known.values()]
    .filter((other) => other.supervisorReference === led.reference && !above.has(other.reference))
    .sort((one, other) => one.reference.localeCompare(other.reference));
  const onward = new Set([...above, led.reference]);
  return element(
    "li",
    {},
    element(
      "div",
      { class: wanted.has(led.reference) ? "node wanted" : "node" },
      element("a", { href: at({ person: led.reference }) }, led.name ?? led.reference),
      element("span", { class: "quiet-text" }, [led.reference, led.title, led.department].filter(Boolean).join(" · ")),
    ),
    below.length > 0 && element("ul", {}, ...below.map((other) => branch(other, known, wanted, onward))),
  );
}

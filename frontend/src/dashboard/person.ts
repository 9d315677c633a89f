// One person in the three systems, side by side: found by email address, reference or rep id, joined by email.

import { type System, SYSTEMS, TITLES } from "../shared/systems";
import { dot, element } from "./dom";
import { type Answer, ask, type Problem } from "./gateway";
import { type Assignee, PERSON, type Rep, type Representative } from "./queries";
import { assigneeRows, type Row, representativeRows, repRows } from "./records";
import { at, go, problem, say, search, type Show, title, waiting } from "./view";

interface Found {
  collections?: (Representative & { assignee: Assignee | null }) | null;
  disputes?: Assignee | null;
  rpm?: (Rep & { counterparts: Assignee[] | null }) | null;
}

interface Sought {
  reference: string | null;
  email: string | null;
  repId: number | null;
}

interface Column {
  system: System;
  name: string | null;
  email: string | null;
  rows: Row[] | null;
  problems: Problem[];
  /** Why there is nothing, where that is no problem. */
  reason: string;
}

const CANNOT = "cannot be searched by email address.";

export const showPerson: Show = async (view, place, isCurrent) => {
  const text = place.get("person") ?? "";
  view.append(
    title("People", text ? "" : "One person, in the three systems side by side."),
    search({
      label: "Email address, Collections reference or RPM rep id",
      hint: "name@example.com, REP-001 or 1001",
      value: text,
      button: "Find",
      onSearch: (sought) => go({ person: sought }),
    }),
  );
  if (!text) {
    view.querySelector("input")?.focus();
    view.append(hints());
    return;
  }
  const sought = soughtIn(place);
  const wait = waiting();
  view.append(wait);
  const answer = await ask<Found>(PERSON, {
    reference: sought.reference ?? "",
    email: sought.email ?? "",
    repId: sought.repId ?? 0,
    byReference: sought.reference !== null,
    byEmail: sought.email !== null,
    byRep: sought.repId !== null,
  }).finally(() => wait.remove());
  if (!isCurrent()) {
    return;
  }
  const columns = columnsOf(sought, answer);
  const name = columns.find((column) => column.name)?.name ?? text;
  document.title = `${name} · peoplegraph`;
  view.append(
    element("h2", { class: "person" }, name),
    joined(columns),
    element("div", { class: "columns" }, ...columns.map((column) => card(column, columns, place))),
  );
  const found = columns.filter((column) => column.rows).map((column) => TITLES[column.system]);
  say(found.length ? `${name}: found in ${found.join(", ")}.` : `Nobody was found by ${text}.`);
};

function soughtIn(place: URLSearchParams): Sought {
  const text = (place.get("person") ?? "").trim();
  const isEmail = text.includes("@");
  const isNumber = /^\d{1,9}$/.test(text);
  const rep = place.get("rep");
  return {
    reference: place.get("reference") ?? (isEmail || isNumber ? null : text),
    email: isEmail ? text : null,
    repId: rep && /^\d{1,9}$/.test(rep) ? Number(rep) : isNumber ? Number(text) : null,
  };
}

function columnsOf(sought: Sought, { data, problems }: Answer<Found>): Column[] {
  const representative = data?.collections ?? null;
  const rep = data?.rpm ?? null;
  const assignee = data?.disputes ?? representative?.assignee ?? rep?.counterparts?.[0] ?? null;
  const of = (system: System) => problems.filter((each) => systemOf(each) === system);
  const anybody = (representative ?? rep)?.email;
  return [
    {
      system: "COLLECTIONS",
      name: representative?.name ?? null,
      email: representative?.email ?? null,
      rows: representative && representativeRows(representative),
      problems: of("COLLECTIONS"),
      reason: sought.reference === null ? `Collections ${CANNOT}` : `Nobody has the reference ${sought.reference}.`,
    },
    {
      system: "DISPUTES",
      name: assignee?.displayName ?? null,
      email: assignee?.email ?? null,
      rows: assignee && assigneeRows(assignee),
      problems: of("DISPUTES"),
      reason:
        sought.email || anybody
          ? `Nobody has the email address ${sought.email ?? anybody}.`
          : "Disputes is searched by email address, and none is known.",
    },
    {
      system: "RPM",
      name: rep?.name ?? null,
      email: rep?.email ?? null,
      rows: rep && repRows(rep),
      problems: of("RPM"),
      reason: sought.repId === null ? `RPM ${CANNOT}` : `Nobody has the rep id ${sought.repId}.`,
    },
  ];
}

/** Which system a problem is of: what it says, or else where in the query it is. */
function systemOf({ extensions, path }: Problem): System {
  if (extensions?.system) {
    return extensions.system;
  }
  if (path?.includes("assignee") || path?.includes("counterparts") || path?.[0] === "disputes") {
    return "DISPUTES";
  }
  return path?.[0] === "rpm" ? "RPM" : "COLLECTIONS";
}

/** Say who has the same email address, with links to the records. */
function joined(columns: Column[]): HTMLElement {
  const byEmail = new Map<string, Column[]>();
  for (const column of columns.filter((each) => each.email)) {
    const email = column.email!.toLowerCase();
    byEmail.set(email, [...(byEmail.get(email) ?? []), column]);
  }
  const lines = [...byEmail].map(([email, same]) =>
    element(
      "li",
      { class: byEmail.size > 1 ? "differs" : "" },
      element("a", { href: at({ person: email }) }, email),
      element("span", { class: "quiet-text" }, same.length > 1 ? " is the same in " : " is in "),
      ...same.map((column) => link(column)),
    ),
  );
  if (byEmail.size > 1) {
    lines.push(element("li", { class: "warning" }, "These are different email addresses: it may be different people."));
  }
  return element("ul", { class: "joined", "aria-label": "Joined by email address" }, ...lines);
}

function link({ system }: Column): HTMLElement {
  return element(
    "button",
    { type: "button", class: "chip", click: () => document.getElementById(`card-${system}`)?.focus() },
    dot(system),
    TITLES[system],
  );
}

function card(column: Column, columns: Column[], place: URLSearchParams): HTMLElement {
  const { system, rows, problems } = column;
  const others = columns.filter(
    (other) => other !== column && other.email && other.email.toLowerCase() === column.email?.toLowerCase(),
  );
  return element(
    "article",
    { class: "card", id: `card-${system}`, tabindex: "-1", "data-system": system, "aria-labelledby": `name-${system}` },
    element(
      "header",
      {},
      element("p", { class: "system" }, dot(system), TITLES[system]),
      element("h3", { id: `name-${system}` }, column.name ?? (rows ? "No name" : problems.length ? "Not known" : "No record")),
    ),
    ...problems.map(problem),
    rows && element("dl", {}, ...rows.map(row)),
    !rows && !problems.length && element("p", { class: "reason" }, column.reason),
    !rows && !problems.length && lookup(system, place),
    others.length > 0 &&
      element("footer", {}, element("span", { class: "quiet-text" }, "Same email:"), ...others.map(link)),
  );
}

function row({ label, value, href, tone }: Row): HTMLElement {
  return element(
    "div",
    {},
    element("dt", {}, label),
    element("dd", { class: tone }, href && value ? element("a", { href }, value) : (value ?? "–")),
  );
}

/** Where a system cannot be searched by what is known, its own key can be added. */
function lookup(system: System, place: URLSearchParams): HTMLElement | null {
  const keys: Partial<Record<System, { name: string; label: string; mode: string }>> = {
    COLLECTIONS: { name: "reference", label: "Reference", mode: "text" },
    RPM: { name: "rep", label: "Rep id", mode: "numeric" },
  };
  const key = keys[system];
  if (!key) {
    return null;
  }
  const id = `add-${key.name}`;
  const input = element("input", { id, inputmode: key.mode, autocomplete: "off", spellcheck: "false", required: true });
  return element(
    "form",
    {
      class: "lookup",
      submit: (event) => {
        event.preventDefault();
        go({ ...Object.fromEntries(place), [key.name]: input.value.trim() });
      },
    },
    element("label", { for: id }, key.label),
    element("div", { class: "row" }, input, element("button", { type: "submit", class: "quiet" }, "Add")),
  );
}

function hints(): HTMLElement {
  const texts: Record<System, string> = {
    COLLECTIONS: "Representatives, found by their reference. Supervisors, accounts and documents are theirs.",
    DISPUTES: "Assignees, found by email address: also those of a representative or a rep, joined by it.",
    RPM: "Reps, found by their rep id. Agencies, assignment codes and notes are theirs.",
  };
  return element(
    "div",
    { class: "columns hints" },
    ...SYSTEMS.map((system) =>
      element(
        "section",
        { class: "card", "data-system": system },
        element("h2", { class: "system" }, dot(system), TITLES[system]),
        element("p", {}, texts[system]),
      ),
    ),
  );
}

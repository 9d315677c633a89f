// What the views have in common: how they are shown, their titles, problems, and where they are.

import { byId, element } from "./dom";
import { inWords, type Problem } from "./gateway";

/** Shows a view for what is after # in the address; returns what is to be done when it is left, if anything. */
export type Show = (
  view: HTMLElement,
  place: URLSearchParams,
  isCurrent: () => boolean,
) => Promise<(() => void) | void>;

export function title(text: string, below = ""): HTMLElement {
  document.title = `${text} · peoplegraph`;
  return element("div", { class: "title" }, element("h1", {}, text), below && element("p", {}, below));
}

/** The address of a view: `at({ person: "REP-001" })` is `#person=REP-001`. */
export function at(place: Record<string, string | number>): string {
  return `#${new URLSearchParams(Object.entries(place).map(([key, value]) => [key, String(value)]))}`;
}

export function go(place: Record<string, string | number>): void {
  const hash = at(place);
  if (hash === location.hash) {
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = hash;
  }
}

/** Tell whoever cannot see what has changed. */
export function say(text: string): void {
  byId("said").textContent = text;
}

export function problem(what: Problem): HTMLElement {
  const code = what.extensions?.code;
  return element(
    "p",
    { class: "problem" },
    inWords(what),
    code && " ",
    code && element("code", { title: `Request ${what.extensions?.requestId ?? ""}` }, code),
  );
}

/** A field, a button, and what they are called: the form that a view begins with. */
export function search(options: {
  label: string;
  hint: string;
  value: string;
  button: string;
  onSearch: (text: string) => void;
}): HTMLFormElement {
  const input = element("input", {
    id: "search",
    type: "search",
    value: options.value,
    placeholder: options.hint,
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    enterkeyhint: "search",
  });
  return element(
    "form",
    {
      class: "search",
      role: "search",
      submit: (event) => {
        event.preventDefault();
        options.onSearch(input.value.trim());
      },
    },
    element("label", { for: "search" }, options.label),
    element("div", { class: "row" }, input, element("button", { type: "submit" }, options.button)),
  );
}

export function waiting(): HTMLElement {
  return element("p", { class: "waiting", role: "status" }, "Asking the gateway…");
}

// The state of the three systems, live: breaker, calls, latency, errors, cache.

import { type System, SYSTEMS, TITLES } from "../shared/systems";
import { askForCredential } from "./credential";
import { dot, element, fill } from "./dom";
import { between, type Rates, type Reading } from "./metrics";
import { sparkline } from "./sparkline";
import { type Show, title } from "./view";
import { onReading, STATES, type Watched } from "./watch";

/** What rates are taken over: as many readings back. */
const WINDOW = 20;

const MEANS = [
  "Calls go through.",
  "Failing: single calls find out if it is back.",
  "Failing: it is not called for a while.",
];

export const showSystems: Show = async (view) => {
  const problem = element("div", { class: "problem", role: "alert", hidden: true });
  const cards = new Map(SYSTEMS.map((system) => [system, element("section", { class: "card live", "data-system": system })]));
  view.append(title("Systems", "The last minute, live."), problem, element("div", { class: "columns" }, ...cards.values()));
  const use = element("button", { type: "button", class: "quiet", click: askForCredential }, "Use a credential");
  return onReading((watched) => {
    problem.hidden = watched.problem === null;
    if (problem.firstChild?.textContent !== watched.problem) {
      fill(problem, watched.problem, watched.ended && use); // once, since it is read out each time
    }
    for (const [system, card] of cards) {
      draw(card, system, watched);
    }
  });
};

function draw(card: HTMLElement, system: System, { readings }: Watched): void {
  const all = readings.get(system) ?? [];
  const last = all.at(-1);
  const first = all.at(-1 - Math.min(WINDOW, all.length - 1));
  const rates = first && last && first !== last ? between(first, last) : null;
  const steps = pairs(all);
  const breaker = last?.breaker ?? null;
  fill(
    card,
    element(
      "header",
      {},
      element("h2", { class: "system" }, dot(system), TITLES[system]),
      element(
        "p",
        { class: "breaker", "data-state": breaker ?? "unknown" },
        element("span", { class: "badge" }, breaker === null ? "Unknown" : `Breaker ${STATES[breaker]!.toLowerCase()}`),
        element("span", { class: "quiet-text" }, breaker === null ? "Nothing is known of it yet." : MEANS[breaker]),
      ),
    ),
    element(
      "dl",
      { class: "measures" },
      measure("Calls a minute", rates && figure(rates.callsPerMinute), steps.map((each) => each.callsPerMinute)),
      measure("Latency, mean", milliseconds(rates?.meanMs), steps.map((each) => each.meanMs ?? 0)),
      measure("Latency, 95 of 100", milliseconds(rates?.p95Ms)),
      measure("Errors", percent(rates?.errorRate), steps.map((each) => each.errorRate ?? 0), (rates?.errorRate ?? 0) > 0),
      measure("Cache hits", percent(rates?.hitRate), steps.map((each) => each.hitRate ?? 0)),
      measure("Under way, waiting", last && last.inUse !== null ? `${last.inUse}, ${last.waiting ?? 0}` : null),
      measure("Calls, retries, in all", last ? `${figure(last.calls)}, ${figure(last.retries)}` : null),
    ),
  );
}

function measure(label: string, value: string | null | undefined, past: number[] = [], isWrong = false): HTMLElement {
  return element(
    "div",
    {},
    element("dt", {}, label),
    element("dd", { class: isWrong ? "bad" : "" }, element("strong", {}, value ?? "–"), past.length > 1 && sparkline(past)),
  );
}

function pairs(readings: Reading[]): Rates[] {
  return readings.slice(1).map((reading, index) => between(readings[index]!, reading));
}

function milliseconds(value: number | null | undefined): string | null {
  return value === null || value === undefined ? null : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

function percent(value: number | null | undefined): string | null {
  return value === null || value === undefined ? null : `${(100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0)} %`;
}

function figure(value: number): string {
  return Math.round(value).toLocaleString("en");
}

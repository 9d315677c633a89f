// Watches the three systems by the gateway's metrics: a reading every few seconds, while the page is seen.

import { type System, SYSTEMS, TITLES } from "../shared/systems";
import { byId, dot, element, fill } from "./dom";
import { metrics, NoMetrics } from "./gateway";
import { parse, type Reading, readingOf } from "./metrics";
import { at, say } from "./view";

const EVERY_MS = 3_000;
const MOST_READINGS = 61;

export const STATES = ["Closed", "Probing", "Open"] as const;

export interface Watched {
  readings: Map<System, Reading[]>;
  problem: string | null;
  /** Whether nothing is asked for any more, until there is another credential. */
  ended: boolean;
}

const watched: Watched = { readings: new Map(), problem: null, ended: false };
const listeners = new Set<(watched: Watched) => void>();
let timer: number | undefined;

export function onReading(listener: (watched: Watched) => void): () => void {
  listeners.add(listener);
  listener(watched);
  return () => listeners.delete(listener);
}

/** Begin, or begin anew. */
export function watchSystems(): void {
  clearTimeout(timer);
  watched.ended = false;
  void read();
}

async function read(): Promise<void> {
  clearTimeout(timer);
  if (!document.hidden) {
    try {
      const samples = parse(await metrics());
      for (const system of SYSTEMS) {
        const readings = watched.readings.get(system) ?? [];
        const reading = readingOf(samples, system, performance.now());
        tell(system, readings.at(-1), reading);
        watched.readings.set(system, [...readings, reading].slice(-MOST_READINGS));
      }
      watched.problem = null;
    } catch (error) {
      watched.problem = error instanceof Error ? error.message : String(error);
      watched.ended = error instanceof NoMetrics;
    }
    drawStrip();
    for (const listener of listeners) {
      listener(watched);
    }
  }
  clearTimeout(timer);
  if (!watched.ended) {
    timer = setTimeout(() => void read(), EVERY_MS);
  }
}

function tell(system: System, before: Reading | undefined, after: Reading): void {
  if (before && before.breaker !== after.breaker && after.breaker !== null) {
    say(`${TITLES[system]}: the circuit breaker is ${STATES[after.breaker]?.toLowerCase()}.`);
  }
}

/** The three systems in a line, on every view. */
function drawStrip(): void {
  byId("strip").hidden = watched.ended;
  fill(
    byId("strip"),
    ...SYSTEMS.map((system) => {
      const breaker = watched.problem ? null : (watched.readings.get(system)?.at(-1)?.breaker ?? null);
      const state = breaker === null ? "Unknown" : ["OK", "Probing", "Failing"][breaker]!;
      return element(
        "li",
        {},
        element(
          "a",
          { href: at({ systems: "" }), "data-state": breaker ?? "unknown" },
          dot(system),
          TITLES[system],
          element("span", { class: "state" }, state),
        ),
      );
    }),
  );
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !watched.ended) {
    watchSystems();
  }
});

// What the gateway tells of a run, and the last run's, for the panel to draw.

import type { System } from "../shared/systems";

export interface Call {
  system: System;
  method: string;
  path: string;
  source: "upstream" | "cache" | "stale" | "shared" | "refused";
  attempt: number;
  status: number | null;
  code: string | null;
  startMs: number;
  durationMs: number;
  bytes: number | null;
}

export interface FieldCalls {
  path: string[];
  field: string;
  dependsOn: string[] | null;
  calls: {
    system: System;
    method: string;
    path: string;
    atWorst: number;
    how: string;
    keptS: number | null;
    /** Paths of which one is called in place of `path`. */
    alternatives: string[];
  }[];
}

export interface Explanation {
  operation: {
    name: string | null;
    type: string;
    hash: string;
    compiled: boolean;
    declined: string | null;
  };
  durationMs: number;
  atWorst: { calls: number; fields: FieldCalls[] };
  calls: Call[];
}

export interface Refusal {
  code: string;
  message: string;
}

export type Run = { state: "none" } | { state: "running" } | { state: "done"; told: Explanation | Refusal | null };

let last: Run = { state: "none" };
const listeners = new Set<() => void>();

export function lastRun(): Run {
  return last;
}

export function setLastRun(run: Run): void {
  last = run;
  for (const listener of listeners) {
    listener();
  }
}

export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function isRefusal(told: Explanation | Refusal): told is Refusal {
  return "message" in told;
}

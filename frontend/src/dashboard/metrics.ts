// Reads the gateway's metrics, as Prometheus has them, and computes from two readings what happened between.

import type { System } from "../shared/systems";

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** What the counters of one system were at a time. */
export interface Reading {
  atMs: number;
  calls: number;
  failures: number;
  seconds: number;
  timed: number;
  /** Calls that took at most so many seconds. */
  buckets: Map<number, number>;
  reads: number;
  hits: number;
  retries: number;
  breaker: number | null;
  inUse: number | null;
  waiting: number | null;
}

export interface Rates {
  callsPerMinute: number;
  /** Of the calls; null where there were none. */
  errorRate: number | null;
  meanMs: number | null;
  p95Ms: number | null;
  hitRate: number | null;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

export function parse(text: string): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split("\n")) {
    const match = line.startsWith("#") ? null : LINE.exec(line);
    if (match) {
      const labels = [...(match[2] ?? "").matchAll(LABEL)].map(([, name, value]) => [name, unescaped(value!)]);
      samples.push({ name: match[1]!, labels: Object.fromEntries(labels), value: Number(match[3]) });
    }
  }
  return samples;
}

export function readingOf(samples: Sample[], system: System, atMs: number): Reading {
  const own = samples.filter((sample) => sample.labels.system === system);
  const all = (name: string) => own.filter((sample) => sample.name === `peoplegraph_${name}`);
  const sum = (some: Sample[]) => some.reduce((total, { value }) => total + value, 0);
  const gauge = (name: string) => all(name)[0]?.value ?? null;
  const calls = all("upstream_calls_total");
  const reads = all("cache_reads_total");
  const buckets = new Map<number, number>();
  for (const { labels, value } of all("upstream_call_duration_seconds_bucket")) {
    const most = labels.le === "+Inf" ? Infinity : Number(labels.le);
    buckets.set(most, (buckets.get(most) ?? 0) + value);
  }
  return {
    atMs,
    calls: sum(calls),
    failures: sum(calls.filter(({ labels }) => isFailure(labels.outcome ?? ""))),
    seconds: sum(all("upstream_call_duration_seconds_sum")),
    timed: sum(all("upstream_call_duration_seconds_count")),
    buckets,
    reads: sum(reads),
    hits: sum(reads.filter(({ labels }) => labels.result !== "miss")),
    retries: sum(all("upstream_retries_total")),
    breaker: gauge("breaker_state"),
    inUse: gauge("upstream_slots_in_use"),
    waiting: gauge("upstream_calls_waiting"),
  };
}

/** What happened between two readings; a gateway that was started anew counts from nothing. */
export function between(before: Reading, after: Reading): Rates {
  const first = after.calls < before.calls ? { ...before, ...ZERO } : before;
  const calls = after.calls - first.calls;
  const timed = after.timed - first.timed;
  const reads = after.reads - first.reads;
  const minutes = (after.atMs - before.atMs) / 60_000;
  return {
    callsPerMinute: minutes > 0 ? calls / minutes : 0,
    errorRate: calls > 0 ? (after.failures - first.failures) / calls : null,
    meanMs: timed > 0 ? (1000 * (after.seconds - first.seconds)) / timed : null,
    p95Ms: timed > 0 ? quantileMs(0.95, first, after) : null,
    hitRate: reads > 0 ? (after.hits - first.hits) / reads : null,
  };
}

const ZERO = { calls: 0, failures: 0, seconds: 0, timed: 0, reads: 0, hits: 0, retries: 0, buckets: new Map() };

/** As Prometheus estimates it: evenly spread within a bucket. */
function quantileMs(share: number, before: Reading, after: Reading): number | null {
  const counts = [...after.buckets]
    .sort(([one], [other]) => one - other)
    .map(([most, count]) => ({ most, count: count - (before.buckets.get(most) ?? 0) }));
  const wanted = share * (counts.at(-1)?.count ?? 0);
  let below = { most: 0, count: 0 };
  for (const bucket of counts) {
    if (bucket.count >= wanted && bucket.count > 0) {
      if (bucket.most === Infinity) {
        return 1000 * below.most;
      }
      const within = (wanted - below.count) / Math.max(bucket.count - below.count, 1e-9);
      return 1000 * (below.most + within * (bucket.most - below.most));
    }
    below = bucket;
  }
  return null;
}

/** A record that is not there, or a write that is refused, is an answer; these are not. */
function isFailure(outcome: string): boolean {
  return !/^[1234]\d\d$/.test(outcome) || ["401", "403", "429"].includes(outcome);
}

function unescaped(value: string): string {
  return value.replace(/\\(.)/g, (_, character: string) => (character === "n" ? "\n" : character));
}

// The explain panel: what the last run called, when and for how long, and what it could have called at worst.

import { useSyncExternalStore } from "react";
import { TITLES } from "../shared/systems";
import { type Call, type Explanation, type FieldCalls, isRefusal, lastRun, subscribe } from "./explain";

const SOURCES = {
  upstream: "",
  cache: "from the cache",
  stale: "stale, from the cache",
  shared: "shared with another request",
  refused: "not made, since the system has been failing",
};

export const EXPLAIN_PLUGIN = { title: "Explain", icon: Icon, content: Panel };

function Icon() {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round">
      <path d="M3 5h8M7 10h11M7 15h5M12 20h9" />
    </svg>
  );
}

function Panel() {
  const run = useSyncExternalStore(subscribe, lastRun);
  return (
    <section className="explain" aria-label="Explain">
      <h2 className="explain-title">Explain</h2>
      {run.state === "none" && <p>Run an operation to see which calls it makes, and when.</p>}
      {run.state === "running" && <p aria-live="polite">Running…</p>}
      {run.state === "done" &&
        (run.told === null ? (
          <p>The gateway has told nothing of this run.</p>
        ) : isRefusal(run.told) ? (
          <p className="explain-refusal">
            <code>{run.told.code}</code> {run.told.message}
          </p>
        ) : (
          <Explained told={run.told} />
        ))}
    </section>
  );
}

function Explained({ told }: { told: Explanation }) {
  const { operation, calls, atWorst } = told;
  return (
    <>
      <p className="explain-totals" aria-live="polite">
        {totals(told)}
      </p>
      <p className="explain-plan">
        {operation.compiled ? "Compiled" : "Not compiled"}
        {operation.declined ? `: ${operation.declined}` : ""} · <code title={operation.hash}>{operation.hash.slice(0, 8)}</code>
      </p>
      <h3>Calls, as they were made</h3>
      {calls.length ? <Waterfall told={told} /> : <p>Nothing was called.</p>}
      <h3>Calls at worst</h3>
      {atWorst.fields.length ? (
        <ul className="explain-tree">
          {roots(atWorst.fields).map((field) => (
            <Field key={field.path.join(".")} field={field} all={atWorst.fields} />
          ))}
        </ul>
      ) : (
        <p>None.</p>
      )}
    </>
  );
}

function Waterfall({ told }: { told: Explanation }) {
  const endMs = Math.max(told.durationMs, ...told.calls.map((call) => call.startMs + call.durationMs), 0.001);
  const calls = [...told.calls].sort((one, other) => one.startMs - other.startMs);
  return (
    <>
      <ol className="explain-calls">
        {calls.map((call, index) => (
          <CallRow key={index} call={call} endMs={endMs} />
        ))}
      </ol>
      <div className="explain-scale" aria-hidden="true">
        <span>0</span>
        <span>{milliseconds(endMs / 2)}</span>
        <span>{milliseconds(endMs)}</span>
      </div>
    </>
  );
}

function CallRow({ call, endMs }: { call: Call; endMs: number }) {
  const failed = call.code !== null || (call.status !== null && call.status >= 400);
  const isKept = call.source === "cache" || call.source === "stale";
  const notes = [
    call.attempt > 1 ? `attempt ${call.attempt}` : "",
    SOURCES[call.source],
    call.bytes === null || isKept ? "" : bytes(call.bytes),
  ].filter(Boolean);
  return (
    <li className={`explain-call system-${call.system} source-${call.source}`}>
      <div className="explain-line">
        <span className="explain-dot" />
        <span className="explain-what">
          {TITLES[call.system]} <code>{`${call.method} ${call.path}`}</code>
        </span>
        <span className={failed ? "explain-status failed" : "explain-status"}>{call.status ?? "✕"}</span>
        <span className="explain-time">{milliseconds(call.durationMs)}</span>
      </div>
      <div className="explain-track" aria-hidden="true">
        <span
          className="explain-bar"
          style={{ left: `${(100 * call.startMs) / endMs}%`, width: `${(100 * call.durationMs) / endMs}%` }}
        />
      </div>
      {(notes.length > 0 || call.code) && (
        <p className="explain-notes">
          {call.code && <strong>{call.code}</strong>}
          {[call.code ? "" : null, ...notes].filter((note) => note !== null).join(" · ")}
        </p>
      )}
    </li>
  );
}

function Field({ field, all }: { field: FieldCalls; all: FieldCalls[] }) {
  const below = all.filter((other) => parentOf(other, all) === field);
  return (
    <li>
      <span className="explain-field">
        {field.path.join(".")} <small>{field.field}</small>
      </span>
      {field.calls.map((call, index) => (
        <div className={`explain-worst system-${call.system}${call.atWorst ? "" : " none"}`} key={index}>
          <span className="explain-dot" />
          <span>
            {call.atWorst ? `${call.atWorst} × ` : "No more: "}
            <code>{[`${call.method} ${call.path}`, ...call.alternatives].join(" or ")}</code>
            {call.how !== field.calls[index + 1]?.how && (
              <small>
                {call.how}
                {call.keptS ? `; kept for ${call.keptS} s` : ""}
              </small>
            )}
          </span>
        </div>
      ))}
      {below.length > 0 && (
        <ul>
          {below.map((other) => (
            <Field key={other.path.join(".")} field={other} all={all} />
          ))}
        </ul>
      )}
    </li>
  );
}

function roots(fields: FieldCalls[]): FieldCalls[] {
  return fields.filter((field) => parentOf(field, fields) === null);
}

/** The nearest field above that has calls of its own. */
function parentOf(field: FieldCalls, all: FieldCalls[]): FieldCalls | null {
  const above = all.filter(
    (other) => other.path.length < field.path.length && other.path.every((name, index) => name === field.path[index]),
  );
  return above.reduce<FieldCalls | null>(
    (nearest, other) => (nearest === null || other.path.length > nearest.path.length ? other : nearest),
    null,
  );
}

function totals({ calls, durationMs, atWorst }: Explanation): string {
  const kept = calls.filter((call) => call.source === "cache" || call.source === "stale").length;
  const upstream = calls.filter((call) => call.source === "upstream").length;
  const made = upstream === 1 ? "1 call" : `${upstream} calls`;
  return `${made}, ${kept} from cache, ${milliseconds(durationMs)}; at worst ${atWorst.calls}`;
}

function milliseconds(value: number): string {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

function bytes(value: number): string {
  return value < 1000 ? `${value} B` : `${(value / 1000).toFixed(1)} kB`;
}

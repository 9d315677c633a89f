// Talks to the gateway, its GraphQL and its metrics, and puts what goes wrong into plain words.

import { type System, TITLES } from "../shared/systems";
import { askForCredential, credential } from "./credential";

export interface Problem {
  message: string;
  path?: (string | number)[];
  extensions?: { code?: string; system?: System; scope?: string; retryAfterMs?: number; requestId?: string };
}

export interface Answer<Data> {
  data: Data | null;
  problems: Problem[];
}

/** The gateway wants a credential, or another one. */
export class Unauthenticated extends Error {}

/** The metrics cannot be had, and asking again does not help. */
export class NoMetrics extends Error {}

export async function ask<Data>(query: string, variables: object = {}): Promise<Answer<Data>> {
  const response = await send("graphql", {
    method: "POST",
    headers: { Accept: "application/json", "Content-Type": "application/json" },
    body: JSON.stringify({ query, variables }),
  });
  if (response.status === 401) {
    askForCredential();
    throw new Unauthenticated();
  }
  const body = (await response.json()) as { data?: Data | null; errors?: Problem[] };
  return { data: body.data ?? null, problems: body.errors ?? [] };
}

export async function metrics(): Promise<string> {
  const response = await send("metrics", {});
  const why: Record<number, string> = {
    401: "The gateway wants a credential before it tells how the systems are.",
    403: "Your credential lacks the scope metrics, which it takes to see how the systems are.",
    404: "This gateway has no metrics: nothing is known of how the systems are.",
  };
  if (why[response.status]) {
    throw new NoMetrics(why[response.status]);
  }
  if (!response.ok) {
    throw new Error(`The gateway answers ${response.status}.`);
  }
  return response.text();
}

function send(path: string, init: RequestInit): Promise<Response> {
  const headers = new Headers(init.headers);
  const kept = credential();
  if (kept) {
    headers.set("Authorization", `Bearer ${kept}`);
  }
  return fetch(new URL(path, location.href), { ...init, headers });
}

/** Say what went wrong, to people who do not know the codes. */
export function inWords({ message, extensions }: Problem): string {
  const { code, system, scope, retryAfterMs } = extensions ?? {};
  const name = system ? TITLES[system] : "The system";
  const later = retryAfterMs ? ` The gateway tries again in ${Math.ceil(retryAfterMs / 1000)} s.` : "";
  switch (code) {
    case "UPSTREAM_TIMEOUT":
      return `${name} did not answer in time.`;
    case "UPSTREAM_UNAVAILABLE":
      return `${name} cannot be reached, or is failing.${later}`;
    case "UPSTREAM_RATE_LIMITED":
      return `${name} takes no more calls for now.${later}`;
    case "UPSTREAM_UNAUTHORIZED":
      return `${name} does not accept the credential that it was asked with.`;
    case "UPSTREAM_BAD_RESPONSE":
      return `${name} answered something that cannot be understood.`;
    case "UPSTREAM_NOT_CONFIGURED":
      return `${name} is not set up on this gateway.`;
    case "FORBIDDEN":
      return scope ? `Your credential lacks the scope ${scope}.` : `${name} does not permit this.`;
    case "RATE_LIMITED":
      return "You have asked more than you may for now.";
    default:
      return message;
  }
}

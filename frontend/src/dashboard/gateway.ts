// Talks to the gateway, its GraphQL and its metrics, and puts what goes wrong into plain words.

import { type System, TITLES } from "../shared/systems";

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

/** There is nothing at this address of the gateway. */
export class Missing extends Error {}

const KEPT = "peoplegraph.credential";

let onUnauthenticated: () => void = () => undefined;

export function whenUnauthenticated(listener: () => void): void {
  onUnauthenticated = listener;
}

/** The credential is kept for this tab, as long as it is open. */
export function setCredential(credential: string | null): void {
  if (credential) {
    sessionStorage.setItem(KEPT, credential);
  } else {
    sessionStorage.removeItem(KEPT);
  }
}

export function hasCredential(): boolean {
  return sessionStorage.getItem(KEPT) !== null;
}

export async function ask<Data>(query: string, variables: object = {}): Promise<Answer<Data>> {
  const response = await send("graphql", {
    method: "POST",
    headers: { Accept: "application/json", "Content-Type": "application/json" },
    body: JSON.stringify({ query, variables }),
  });
  const body = (await response.json()) as { data?: Data | null; errors?: Problem[] };
  return { data: body.data ?? null, problems: body.errors ?? [] };
}

export async function metrics(): Promise<string> {
  const response = await send("metrics", {});
  if (!response.ok) {
    throw new Missing(`the gateway answers ${response.status}`);
  }
  return response.text();
}

async function send(path: string, init: RequestInit): Promise<Response> {
  const credential = sessionStorage.getItem(KEPT);
  const headers = new Headers(init.headers);
  if (credential) {
    headers.set("Authorization", `Bearer ${credential}`);
  }
  const response = await fetch(new URL(path, location.href), { ...init, headers });
  if (response.status === 401) {
    onUnauthenticated();
    throw new Unauthenticated("The gateway wants a credential.");
  }
  return response;
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

// Asks the gateway, and for an explanation with each run: GraphiQL shows the answer, the panel the explanation.

import { type Explanation, type Refusal, setLastRun } from "./explain";

interface Parameters {
  query: string;
  operationName?: string | null;
  variables?: unknown;
}

interface Answer {
  data?: unknown;
  errors?: unknown[];
  extensions?: Record<string, unknown>;
}

const ENDPOINT = new URL("graphql", location.href);

export async function ask(parameters: Parameters, options?: { headers?: Record<string, unknown> }): Promise<Answer> {
  if (parameters.operationName === "IntrospectionQuery") {
    return post(parameters, options?.headers);
  }
  setLastRun({ state: "running" });
  let told: Explanation | Refusal | null = null;
  try {
    const { query, variables } = parameters;
    const body = { query, variables, operationName: operationName(parameters), extensions: { explain: true } };
    const answer = await post(body, options?.headers);
    const { explain, ...extensions } = answer.extensions ?? {};
    told = (explain as Explanation | Refusal | undefined) ?? null;
    if (Object.keys(extensions).length) {
      return { ...answer, extensions };
    }
    delete answer.extensions;
    return answer;
  } finally {
    setLastRun({ state: "done", told });
  }
}

/** Right after a change of tabs GraphiQL still has the name of the other tab's operation. */
function operationName({ query, operationName: name }: Parameters): string | undefined {
  return name && new RegExp(`\\b(query|mutation)\\s+${name}\\b`).test(query) ? name : undefined;
}

async function post(body: object, headers: Record<string, unknown> = {}): Promise<Answer> {
  const response = await fetch(ENDPOINT, {
    method: "POST",
    headers: {
      Accept: "application/json",
      "Content-Type": "application/json",
      ...Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)])),
    },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  try {
    return JSON.parse(text) as Answer;
  } catch {
    return { errors: [{ message: `The answer is no JSON: ${response.status} ${text.slice(0, 500)}` }] };
  }
}

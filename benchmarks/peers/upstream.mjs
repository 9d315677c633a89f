// What the peers in Node share: the schema, the calls over undici, and one request's DataLoaders.
import { readFileSync } from "node:fs";
import DataLoader from "dataloader";
import { Pool } from "undici";

export const port = Number(process.env.PORT);

export const typeDefs = readFileSync(new URL("schema.graphql", import.meta.url), "utf8");

const pool = new Pool(process.env.UPSTREAM, { connections: 100, pipelining: 1 });

async function get(path, header) {
  const { body } = await pool.request({ path, method: "GET", headers: { [header]: "key", accept: "application/json" } });
  return body.json();
}

const getRepresentative = (reference) => get(`/representatives/${encodeURIComponent(reference)}`, "x-api-key");

export const listAssignees = () => get("/tenants/bench/assignees", "x-billtrust-api-key");

export async function assigneesByEmail(emails) {
  const known = new Map();
  for (const assignee of await listAssignees()) {
    const email = assignee.person?.email?.toLowerCase();
    if (email && !known.has(email)) known.set(email, assignee);
  }
  return emails.map((email) => known.get(email?.toLowerCase()) ?? null);
}

export const representativesByReference = (references) => Promise.all(references.map(getRepresentative));

export const loaders = () => ({
  representative: new DataLoader(representativesByReference),
  assignee: new DataLoader(assigneesByEmail, { cacheKeyFn: (email) => email.toLowerCase() }),
});

const ofPerson = (field) => (assignee) => assignee.person?.[field];

export const assigneeResolvers = Object.fromEntries(
  ["firstName", "lastName", "email", "title", "officePhone", "timezone", "address"].map((f) => [f, ofPerson(f)]),
);

export const resolvers = {
  Query: {
    representative: (_, { reference }, context) => context.representative.load(reference),
    representatives: (_, { references }, context) => context.representative.loadMany(references),
    assignees: async () => ({ nodes: await listAssignees() }),
  },
  Representative: {
    supervisor: ({ supervisor_representative_reference: reference }, _, context) =>
      reference ? context.representative.load(reference) : null,
    assignee: ({ email }, _, context) => (email ? context.assignee.load(email) : null),
  },
  Assignee: assigneeResolvers,
};

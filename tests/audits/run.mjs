// Runs the audits of graphql-http against the endpoint in argv, and prints what they found as JSON.
import { auditServer } from "graphql-http";

// a GET without a header that a foreign page cannot send is refused
const fetchFn = (url, init = {}) =>
  fetch(url, { ...init, headers: { ...init.headers, "graphql-require-preflight": "1" } });
const results = await auditServer({ url: process.argv[2], fetchFn });
console.log(
  JSON.stringify(results.map(({ id, name, status, reason }) => ({ id, name, status, reason }))),
);

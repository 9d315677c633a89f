// An invoice service over invoices.graphql, as docs/federation.md has it: a second subgraph
import { readFileSync } from "node:fs";
import { ApolloServer } from "@apollo/server";
import { startStandaloneServer } from "@apollo/server/standalone";
import { buildSubgraphSchema } from "@apollo/subgraph";
import { parse } from "graphql";

const invoices = [
  { number: "INV-0064", amount: 120.5, account: "ACCT-0106", collector: "REP-021" },
  { number: "INV-0067", amount: 80, account: "ACCT-0106", collector: "REP-022" },
  { number: "INV-0068", amount: 42, account: "ACCT-0108", collector: "REP-021" },
  { number: "INV-0900", amount: 7, account: "ACCT-0900", collector: "" },
  { number: "INV-0901", amount: 9, account: "ACCT-0900", collector: "NOBODY" },
];
const resolvers = {
  Query: { invoices: () => invoices },
  Invoice: {
    __resolveReference: ({ number }) => invoices.find((invoice) => invoice.number === number),
    account: ({ account }) => ({ number: account }),
    collector: ({ collector }) => ({ reference: collector }),
  },
  Account: {
    invoices: ({ number }) => invoices.filter((invoice) => invoice.account === number),
  },
  Document: {
    invoice: ({ number }) => invoices.find((invoice) => invoice.number === number),
  },
};
const typeDefs = parse(readFileSync("invoices.graphql", "utf8"));
const server = new ApolloServer({ schema: buildSubgraphSchema({ typeDefs, resolvers }) });
const { url } = await startStandaloneServer(server, { listen: { host: "127.0.0.1", port: 0 } });
console.log(`invoices: ${url}`);

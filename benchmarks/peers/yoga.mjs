// GraphQL Yoga with DataLoader and undici.
import { createServer } from "node:http";
import { createSchema, createYoga } from "graphql-yoga";
import { loaders, port, resolvers, typeDefs } from "./upstream.mjs";

const yoga = createYoga({ schema: createSchema({ typeDefs, resolvers }), context: () => loaders(), logging: false });
createServer(yoga).listen(port, "127.0.0.1");

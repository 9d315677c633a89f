// Mercurius with its JIT and its own loaders, and undici.
import Fastify from "fastify";
import mercurius from "mercurius";
import * as upstream from "./upstream.mjs";

const { loaders, port, resolvers, typeDefs } = upstream;
const { Query, Assignee } = resolvers;
const app = Fastify();
app.register(mercurius, {
  schema: typeDefs,
  resolvers: { Query, Assignee },
  context: () => loaders(),
  jit: 1,
  loaders: {
    Representative: {
      supervisor: (queries, context) =>
        Promise.all(
          queries.map(({ obj: { supervisor_representative_reference: reference } }) =>
            reference ? context.representative.load(reference) : null,
          ),
        ),
      assignee: (queries) => upstream.assigneesByEmail(queries.map(({ obj }) => obj.email)),
    },
  },
});
await app.listen({ port, host: "127.0.0.1" });

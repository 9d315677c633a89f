// The GraphQL of the README as tabs: anonymous operations get a name from their root fields, since a tab is called so.

import { parse } from "graphql";

export function tabsOfReadme(readme) {
  const tabs = [...readme.matchAll(/([^\n]+)\n\n```graphql\n(.*?)```/gs)].map(([, above, query]) => ({
    query: `# ${above}\n${named(query.trim())}\n`,
  }));
  if (!tabs.length) {
    throw new Error("README.md has no GraphQL");
  }
  return tabs;
}

function named(query) {
  const [operation] = parse(query).definitions;
  if (operation.name) {
    return query;
  }
  const fields = operation.selectionSet.selections.map(({ name }) => name.value[0].toUpperCase() + name.value.slice(1));
  const name = fields.join("And");
  return query.startsWith("{") ? `query ${name} ${query}` : query.replace(/^(query|mutation)\b/, `$1 ${name}`);
}

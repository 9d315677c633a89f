// GraphiQL on this gateway: headers editor, explorer, history, the explain panel, the README's queries as tabs.

import "../monaco/workers";
import "graphiql/style.css";
import "@graphiql/plugin-explorer/style.css";
import "./graphiql.css";
import "./panel.css";
import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";
import { passNonceOn } from "../monaco/policy";
import { ask } from "./fetcher";
import { EXPLAIN_PLUGIN } from "./panel";

declare const README_TABS: { query: string }[];

passNonceOn();

const plugins = [HISTORY_PLUGIN, explorerPlugin(), EXPLAIN_PLUGIN];
const container = document.getElementById("graphiql")!;
const dashboard = container.dataset.dashboard;

createRoot(container).render(
  <GraphiQL
    fetcher={ask as never}
    plugins={plugins}
    defaultTabs={README_TABS}
    defaultEditorToolsVisibility="headers"
    shouldPersistHeaders={false}
    showPersistHeadersSettings
    defaultTheme={null}
    inputValueDeprecation
    isHeadersEditorEnabled
  >
    <GraphiQL.Logo>
      <span className="pg-name">peoplegraph</span>
      {dashboard && (
        <a className="pg-link" href={dashboard}>
          Dashboard
        </a>
      )}
    </GraphiQL.Logo>
  </GraphiQL>,
);

// What the build changes in packages on the way, so that they work under a policy without 'unsafe-inline'.

import { readFileSync } from "node:fs";

/**
 * Monaco writes lines as HTML with `style` attributes, and makes `style` elements. Under a policy without
 * 'unsafe-inline' the first are set through the DOM instead, and the second carry the page's nonce. A version of
 * Monaco that has these places no more ends the build.
 */
export function monacoUnderPolicy(policy) {
  const changes = {
    "editor/browser/view/viewLayer.js": [
      ["this._domNode.innerHTML = newLinesHTML;", "this._domNode.innerHTML = deferStyles(newLinesHTML);"],
      [
        "lastChild.insertAdjacentHTML('afterend', newLinesHTML);",
        "lastChild.insertAdjacentHTML('afterend', deferStyles(newLinesHTML));",
      ],
      ["let currChild = this._domNode.lastChild;", "applyStyles(this._domNode); let currChild = this._domNode.lastChild;"],
      [
        "hugeDomNode.innerHTML = invalidLinesHTML;",
        "hugeDomNode.innerHTML = deferStyles(invalidLinesHTML); applyStyles(hugeDomNode);",
      ],
    ],
    "base/browser/dom.js": [
      ["const style = document.createElement('style');", "const style = document.createElement('style'); style.nonce = nonce();"],
    ],
    "base/browser/ui/contextview/contextview.js": [
      ["const style = document.createElement('style');", "const style = document.createElement('style'); style.nonce = nonce();"],
    ],
  };
  return {
    name: "monaco-under-policy",
    setup(build) {
      const met = new Set();
      build.onLoad({ filter: /monaco-editor[\\/]esm[\\/]vs[\\/].*\.js$/ }, ({ path }) => {
        const name = path.replaceAll("\\", "/").split("/monaco-editor/esm/vs/")[1];
        if (!changes[name]) {
          return null;
        }
        met.add(name);
        let text = readFileSync(path, "utf8");
        for (const [old, replacement] of changes[name]) {
          if (text.split(old).length !== 2) {
            throw new Error(`${name} of Monaco does not have this once any more: ${old}`);
          }
          text = text.replace(old, () => replacement);
        }
        const names = "{ applyStyles, deferStyles, nonce }";
        return { contents: `import ${names} from ${JSON.stringify(policy)};\n${text}`, loader: "js" };
      });
      build.onEnd(() => {
        const missing = Object.keys(changes).filter((name) => !met.has(name));
        return { errors: missing.map((name) => ({ text: `Monaco has no ${name} any more` })) };
      });
    },
  };
}

/** GraphiQL's style sheet has Monaco's in it, and 300 kB of fonts: system fonts do, and Monaco's own are not needed. */
export function smallerStyles() {
  return {
    name: "smaller-styles",
    setup(build) {
      build.onLoad({ filter: /monaco-editor[\\/].*\.css$/ }, () => ({ contents: "", loader: "empty" }));
      build.onLoad({ filter: /graphiql[\\/]dist[\\/]style\.css$/ }, ({ path }) => ({
        contents: readFileSync(path, "utf8").replace(/@font-face\s*\{[^}]*\}/g, (rule) =>
          /font-family:\s*["']?(Roboto|Fira Code)/.test(rule) ? "" : rule,
        ),
        loader: "css",
      }));
    },
  };
}

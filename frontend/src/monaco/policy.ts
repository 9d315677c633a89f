// What Monaco and others need to live under a policy without 'unsafe-inline': see monacoUnderPolicy in plugins.mjs.

const DEFERRED = "data-style";

/** The nonce of the page, for `style` elements that are made at run time. */
export function nonce(): string {
  return document.querySelector<HTMLElement>("meta[property=csp-nonce]")?.nonce ?? "";
}

/** Packages that make `style` elements look for the nonce there, too. */
export function passNonceOn(): void {
  (globalThis as { __webpack_nonce__?: string }).__webpack_nonce__ = nonce();
}

/** Name `style` attributes otherwise, in tags only: what is text in this HTML has no `<`. */
export function deferStyles(html: string | TrustedHTML): string {
  return String(html).replace(/<[a-z][^>]*>/g, (tag) => tag.replace(/\sstyle="/g, ` ${DEFERRED}="`));
}

/** Set what `deferStyles` put off, through the DOM, which a policy lets through. */
export function applyStyles(root: HTMLElement): void {
  for (const element of root.querySelectorAll<HTMLElement>(`[${DEFERRED}]`)) {
    element.style.cssText = element.getAttribute(DEFERRED) ?? "";
    element.removeAttribute(DEFERRED);
  }
}

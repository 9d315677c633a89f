// Asks for a credential where the gateway wants one, and keeps it for this tab, as long as it is open.

import { byId } from "./dom";

const KEPT = "peoplegraph.credential";

export function credential(): string | null {
  return sessionStorage.getItem(KEPT);
}

/** Ask for one; one that is there was not accepted. */
export function askForCredential(): void {
  const dialog = byId<HTMLDialogElement>("credential");
  byId("credential-problem").hidden = credential() === null;
  sessionStorage.removeItem(KEPT);
  if (!dialog.open) {
    dialog.showModal();
  }
}

/** Begin: `changed` is called whenever there is another credential, or none any more. */
export function keepCredential(changed: () => void): void {
  byId<HTMLFormElement>("credential-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const input = byId<HTMLInputElement>("credential-text");
    sessionStorage.setItem(KEPT, input.value.trim());
    input.value = "";
    byId<HTMLDialogElement>("credential").close();
    changed();
  });
  byId("forget").addEventListener("click", () => {
    sessionStorage.removeItem(KEPT);
    changed();
  });
}

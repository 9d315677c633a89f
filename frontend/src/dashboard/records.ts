// The records of the three systems as rows of a card.

import type { Assignee, Phone, Rep, Representative } from "./queries";
import { at } from "./view";

export interface Row {
  label: string;
  value: string | number | null;
  href?: string;
  /** How it looks: `bad` is what somebody should see to. */
  tone?: "good" | "bad";
}

export function representativeRows(record: Representative): Row[] {
  const { reference, supervisor, supervisorReference } = record;
  return [
    { label: "Reference", value: reference },
    { label: "Email", value: record.email },
    { label: "Title", value: record.title },
    { label: "Department", value: record.department },
    { label: "Type", value: inWords(record.representativeType) },
    ...phones(record.phoneNumbers),
    {
      label: "Supervisor",
      value: supervisor?.name ?? supervisorReference ?? "None",
      href: supervisorReference ? at({ person: supervisorReference }) : undefined,
    },
    { label: "Accounts", value: record.accounts?.totalCount ?? null },
    { label: "Documents", value: record.documents?.totalCount ?? null },
    { label: "Hierarchy", value: "Supervisor tree", href: at({ tree: reference }) },
  ];
}

export function assigneeRows(record: Assignee): Row[] {
  const { department } = record;
  const named = department && [department.description, department.code && `(${department.code})`].filter(Boolean).join(" ");
  return [
    { label: "Assignee id", value: record.assigneeId },
    { label: "Email", value: record.email },
    { label: "Title", value: record.title },
    { label: "Department", value: named, href: department?.code ? at({ departments: department.code }) : undefined },
    { label: "Status", value: record.active ? "Active" : "Inactive", tone: record.active ? "good" : "bad" },
    { label: "Default", value: record.isDefault ? "Yes: gets new disputes" : "No" },
    ...phones(record.phoneNumbers),
    { label: "Time zone", value: record.timezone },
    { label: "User", value: record.userId },
  ];
}

export function repRows(record: Rep): Row[] {
  const { agency } = record;
  const codes = record.assignmentCodes.map(({ code, supplier }) => (supplier?.name ? `${code} (${supplier.name})` : code));
  return [
    { label: "Rep id", value: record.repId },
    { label: "Email", value: record.email },
    { label: "Title", value: record.title },
    { label: "Agency", value: agency && `${agency.name ?? "–"}${agency.archived ? " (archived)" : ""}` },
    {
      label: "Sign-in",
      value: record.enabled === null ? null : record.enabled ? "Enabled" : "Disabled",
      tone: record.enabled === false ? "bad" : "good",
    },
    { label: "Username", value: record.username },
    { label: "Relationship", value: inWords(record.relationship) },
    { label: "Type", value: record.type },
    ...phones(record.phoneNumbers),
    { label: "Codes", value: codes.join(", ") || null },
  ];
}

function phones(numbers: Phone[]): Row[] {
  return numbers.map(({ kind, number }) => ({ label: `${inWords(kind)} phone`.replace("Fax phone", "Fax"), value: number }));
}

/** `SUB_AGENT` is "Sub agent" to people. */
function inWords(name: string | null): string | null {
  return name && name[0]!.toUpperCase() + name.slice(1).toLowerCase().replaceAll("_", " ");
}

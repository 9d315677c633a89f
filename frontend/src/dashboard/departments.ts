// The departments of Disputes with their assignees: who is inactive, and where there is nobody for new disputes.

import { byId, element, fill } from "./dom";
import { ask } from "./gateway";
import { type Department, DEPARTMENTS, type Member } from "./queries";
import { at, problem, say, type Show, title, waiting } from "./view";

export const showDepartments: Show = async (view, place, isCurrent) => {
  const wait = waiting();
  view.append(title("Departments", "Of Disputes, with their assignees, and what somebody should see to."), wait);
  const { data, problems } = await ask<{ departments: Department[] | null }>(DEPARTMENTS).finally(() => wait.remove());
  if (!isCurrent()) {
    return;
  }
  view.append(...problems.map(problem));
  const departments = data?.departments;
  if (!departments) {
    return;
  }
  const wrong = departments.filter((department) => faults(department).length > 0);
  const inactive = departments.reduce((sum, department) => sum + inactiveOf(department).length, 0);
  const list = element("div", { class: "departments", id: "departments" });
  const only = element("input", { type: "checkbox", id: "only", change: () => fillList() });
  const fillList = () => fill(list, ...(only.checked ? wrong : departments).map((each) => entry(each, place)));
  view.append(
    element(
      "ul",
      { class: "figures", "aria-label": "In all" },
      figure(departments.length, "departments"),
      figure(wrong.length, "without a working default", wrong.length > 0),
      figure(inactive, "inactive assignees", inactive > 0),
    ),
    element("p", { class: "toggle" }, only, element("label", { for: "only" }, "Only those without a working default")),
    list,
  );
  fillList();
  say(`${departments.length} departments.`);
  const wanted = place.get("departments");
  if (wanted) {
    byId(`department-${wanted}`)?.scrollIntoView({ block: "start" });
  }
};

function entry(department: Department, place: URLSearchParams): HTMLElement {
  const { code, description, defaultAssignee } = department;
  const members = department.assignees?.nodes ?? [];
  const count = department.assignees?.totalCount ?? members.length;
  const wrong = faults(department);
  const name = description ?? code ?? department.departmentId;
  return element(
    "details",
    {
      class: wrong.length ? "card department wrong" : "card department",
      id: `department-${code ?? department.departmentId}`,
      open: place.get("departments") === code && code !== null,
    },
    element(
      "summary",
      {},
      element("span", { class: "name" }, element("strong", {}, name), code && element("code", {}, code)),
      element(
        "span",
        { class: "default" },
        defaultAssignee
          ? ["Default: ", defaultAssignee.displayName ?? defaultAssignee.assigneeId].join("")
          : element("span", { class: "badge bad" }, "No default assignee"),
        defaultAssignee && !defaultAssignee.active && element("span", { class: "badge bad" }, "Default is inactive"),
      ),
      element(
        "span",
        { class: "count" },
        `${count} assignees`,
        inactiveOf(department).length > 0 &&
          element("span", { class: "badge warn" }, `${inactiveOf(department).length} inactive`),
      ),
    ),
    wrong.length > 0 && element("p", { class: "warning" }, wrong.join(" ")),
    element(
      "table",
      {},
      element("caption", { class: "visually-hidden" }, `Assignees of ${name}`),
      element(
        "thead",
        {},
        element("tr", {}, ...["Name", "Email", "Title", "Status"].map((text) => element("th", { scope: "col" }, text))),
      ),
      element("tbody", {}, ...[...members].sort(worstFirst).map(memberRow)),
    ),
    count > members.length && element("p", { class: "quiet-text" }, `These are the first ${members.length}.`),
  );
}

function memberRow(member: Member): HTMLElement {
  const name = member.displayName ?? member.assigneeId;
  return element(
    "tr",
    { class: member.active ? "" : "inactive" },
    element(
      "th",
      { scope: "row" },
      member.email ? element("a", { href: at({ person: member.email }) }, name) : name,
    ),
    element("td", { "data-label": "Email" }, member.email ?? "–"),
    element("td", { "data-label": "Title" }, member.title ?? "–"),
    element(
      "td",
      { "data-label": "Status" },
      member.isDefault && element("span", { class: "badge good" }, "Default"),
      element("span", { class: member.active ? "badge" : "badge warn" }, member.active ? "Active" : "Inactive"),
    ),
  );
}

function figure(value: number, text: string, isWrong = false): HTMLElement {
  return element("li", { class: isWrong ? "wrong" : "" }, element("strong", {}, value), ` ${text}`);
}

function faults({ defaultAssignee }: Department): string[] {
  if (!defaultAssignee) {
    return ["New disputes of this department go to nobody."];
  }
  return defaultAssignee.active ? [] : ["New disputes of this department go to somebody who is inactive."];
}

function inactiveOf({ assignees }: Department): Member[] {
  return (assignees?.nodes ?? []).filter((member) => !member.active);
}

/** The default first, then who is inactive, then by name. */
function worstFirst(one: Member, other: Member): number {
  return (
    Number(other.isDefault) - Number(one.isDefault) ||
    Number(one.active) - Number(other.active) ||
    (one.displayName ?? "").localeCompare(other.displayName ?? "")
  );
}

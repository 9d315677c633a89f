// What the dashboard asks: three documents, whose texts are always the same.

export interface Phone {
  kind: string;
  number: string;
}

export interface Representative {
  reference: string;
  name: string | null;
  email: string | null;
  title: string | null;
  department: string | null;
  representativeType: string | null;
  language: string | null;
  phoneNumbers: Phone[];
  supervisorReference: string | null;
  supervisor: { reference: string; name: string | null } | null;
  accounts: { totalCount: number | null } | null;
  documents: { totalCount: number | null } | null;
}

export interface Assignee {
  assigneeId: string;
  displayName: string | null;
  email: string | null;
  title: string | null;
  phoneNumbers: Phone[];
  active: boolean;
  isDefault: boolean;
  timezone: string | null;
  userId: string | null;
  department: { code: string | null; description: string | null } | null;
}

export interface Rep {
  repId: number;
  name: string | null;
  email: string | null;
  title: string | null;
  phoneNumbers: Phone[];
  username: string | null;
  enabled: boolean | null;
  relationship: string | null;
  type: string | null;
  agency: { name: string | null; archived: boolean | null } | null;
  assignmentCodes: { code: string; supplier: { name: string | null } | null }[];
}

const ASSIGNEE = `fragment TheAssignee on Assignee {
  assigneeId displayName email title phoneNumbers { kind number } active isDefault timezone userId
  department { code description }
}`;

export const PERSON = `query DashboardPerson(
  $reference: String!, $email: String!, $repId: Int!, $byReference: Boolean!, $byEmail: Boolean!, $byRep: Boolean!
) {
  collections: representative(reference: $reference) @include(if: $byReference) {
    reference name email title department representativeType language phoneNumbers { kind number } supervisorReference
    supervisor { reference name }
    accounts(first: 0) { totalCount }
    documents(first: 0) { totalCount }
    assignee { ...TheAssignee }
  }
  disputes: assignee(by: { email: $email }) @include(if: $byEmail) { ...TheAssignee }
  rpm: rep(by: { repId: $repId }) @include(if: $byRep) {
    repId name email title phoneNumbers { kind number } username enabled relationship type
    agency { name archived }
    assignmentCodes { code supplier { name } }
    counterparts { ...TheAssignee }
  }
}
${ASSIGNEE}`;

export interface Department {
  departmentId: string;
  code: string | null;
  description: string | null;
  defaultAssignee: Member | null;
  assignees: { totalCount: number | null; nodes: Member[] } | null;
}

export interface Member {
  assigneeId: string;
  displayName: string | null;
  email: string | null;
  title: string | null;
  active: boolean;
  isDefault: boolean;
}

export const DEPARTMENTS = `query DashboardDepartments {
  departments {
    departmentId code description
    defaultAssignee { ...Member }
    assignees(first: 200) { totalCount nodes { ...Member } }
  }
}
fragment Member on Assignee { assigneeId displayName email title active isDefault }`;

export interface Led {
  reference: string;
  name: string | null;
  title: string | null;
  department: string | null;
  supervisorReference: string | null;
  supervisor?: Led | null;
}

/** How many supervisors one query goes up; whoever stands higher is asked for in another one. */
const LEVELS = 4;

export const TREE = `query DashboardTree($references: [String!]!) {
  representatives(references: $references) { ...Led ${"supervisor { ...Led ".repeat(LEVELS)}${"}".repeat(LEVELS)} }
}
fragment Led on Representative { reference name title department supervisorReference }`;

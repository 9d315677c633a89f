// The three systems, as people call them.

export type System = "COLLECTIONS" | "DISPUTES" | "RPM";

export const SYSTEMS: readonly System[] = ["COLLECTIONS", "DISPUTES", "RPM"];

export const TITLES: Record<System, string> = { COLLECTIONS: "Collections", DISPUTES: "Disputes", RPM: "RPM" };

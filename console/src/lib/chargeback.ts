// A month's chargeback: what is asked for, and what its rows are called.
import type { Chargeback, ChargebackRow } from "@/api/types";
import { ISSUERS, REASON_WORDS } from "./settlement-words";

export interface Asked {
  by: Chargeback["by"];
  tag?: string;
}

/** `tag:cost-centre` asks for a tag, anything else for itself. */
export function askedBy(by: string): Asked {
  return by.startsWith("tag:") ? { by: "tag", tag: by.slice(4) } : { by: by as Asked["by"] };
}

/** The last so many months, the newest first: `2026-11`. */
export function lastMonths(now: number, count: number): string[] {
  const today = new Date(now);
  return Array.from({ length: count }, (_, back) => new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth() - back, 1)).toISOString().slice(0, 7));
}

/** Where the file of a month is. */
export function chargebackFile(month: string, { by, tag }: Asked, measure: Chargeback["measure"]): string {
  const query = new URLSearchParams({ by, ...(tag ? { tag } : {}), measure });
  return `/api/v1/months/${month}/chargeback/export?${query}`;
}

/** Where the statement of a month is: a page to print. */
export function statementPage(month: string, measure: Chargeback["measure"]): string {
  return `/api/v1/months/${month}/statement?${new URLSearchParams({ measure })}`;
}

export interface Named {
  label: string;
  note: string;
}

/** What a row is called, and what has to be known of it. */
export function rowInWords(row: Pick<ChargebackRow, "kind" | "group" | "name" | "issuer" | "code">, { by, tag }: Asked): Named {
  const issuer = row.issuer ? ISSUERS[row.issuer] : "";
  if (row.kind === "rest") return { label: "Everybody else", note: "The calls after the dearest rows." };
  if (row.kind === "unsettled") return { label: `Not settled yet, ${issuer}`, note: "On a bill that came just now." };
  if (row.kind === "beside_calls") {
    const word = REASON_WORDS[row.code ?? "unknown"];
    return { label: `${word.label}, ${issuer}`, note: word.meaning };
  }
  if (row.group == null) return { label: by === "tag" ? `No tag “${tag ?? ""}”` : `No ${by}`, note: "Calls of keys that nobody labelled so." };
  return { label: row.name ?? row.group, note: by === "key" ? row.group : "" };
}

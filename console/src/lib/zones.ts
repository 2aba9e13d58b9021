// The time zones that the browser knows, UTC first: a choice for the account's calendar.

/** Names of the IANA database; the present one is among them even where this browser does not know it. */
export function timeZones(present: string): string[] {
  const known = typeof Intl.supportedValuesOf === "function" ? Intl.supportedValuesOf("timeZone") : [];
  return [...new Set(["UTC", present, ...known])].filter(Boolean);
}

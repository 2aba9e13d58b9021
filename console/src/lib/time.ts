// Times as people read them, always with the zone they are told in. Days of money are UTC days, because that is
// what providers and bills count in; only moments may be shown in the reader's own zone.

export type ZoneChoice = "utc" | "local";

export function zoneName(choice: ZoneChoice): string {
  return choice === "utc" ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(name: string, zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${name} ${zone}`;
  const known = formats.get(key);
  if (known) return known;
  const made = new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options });
  formats.set(key, made);
  return made;
}

/** `14:03:07`. */
export function clockTime(iso: string, zone: string): string {
  return format("clock", zone, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }).format(
    new Date(iso),
  );
}

/** `22 Nov`. */
export function shortDay(iso: string, zone: string): string {
  return format("day", zone, { day: "numeric", month: "short" }).format(new Date(iso));
}

/** `22 Nov 2026`. */
export function fullDay(iso: string, zone: string): string {
  return format("full-day", zone, { day: "numeric", month: "short", year: "numeric" }).format(new Date(iso));
}

/** `22 Nov 2026, 14:03:07`, without the zone, which stands beside it. */
export function fullTime(iso: string, zone: string): string {
  return `${fullDay(iso, zone)}, ${clockTime(iso, zone)}`;
}

/** `14:00`. */
export function hourOf(iso: string, zone: string): string {
  return format("hour", zone, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(new Date(iso));
}

/** `just now`, `12 min ago`, `3 h ago`, `5 days ago`, and from a month on the day itself. */
export function ago(iso: string, now: number, zone: string): string {
  const seconds = Math.floor((now - Date.parse(iso)) / 1000);
  if (seconds < 10) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  const days = Math.floor(seconds / 86_400);
  if (days < 31) return days === 1 ? "yesterday" : `${days} days ago`;
  return fullDay(iso, zone);
}

/** `in 40 s`, `in 12 min`, `in 3 h`, `in 5 days`, and from a month on the day itself; what is past is `due now`. */
export function until(iso: string, now: number, zone: string): string {
  const seconds = Math.ceil((Date.parse(iso) - now) / 1000);
  if (seconds <= 0) return "due now";
  if (seconds < 60) return `in ${seconds} s`;
  if (seconds < 3600) return `in ${Math.floor(seconds / 60)} min`;
  if (seconds < 2 * 86_400) return `in ${Math.floor(seconds / 3600)} h`;
  const days = Math.floor(seconds / 86_400);
  return days < 31 ? `in ${days} days` : `on ${fullDay(iso, zone)}`;
}

/** `22 Nov 2026, 14:03 Europe/Berlin`: a moment for somebody who acts by it, with its zone. */
export function momentWithZone(iso: string, zone: string): string {
  return `${fullDay(iso, zone)}, ${hourOf(iso, zone)} ${zone}`;
}

/** `< 1 ms`, `812 ms`, `3.42 s`, `2 min 05 s`. */
export function duration(ms: number): string {
  if (ms < 1) return "< 1 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(2)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}

// Plain words for the public status: how a part is, what a day was, how long something lasted.
import type { Status } from "@/api/types";
import { fullDay } from "./time";
import type { Word } from "./words";

type State = Status["state"];
type Day = Status["components"][number]["days"][number];

export const STATUS_WORDS: Record<State, Word> = {
  ok: { label: "Working", meaning: "The last probe found all well.", tone: "good" },
  unknown: { label: "Unknown", meaning: "Nobody looked in the last minutes, so nothing is said.", tone: "neutral" },
  degraded: { label: "Degraded", meaning: "It is slow, or a part of it fails.", tone: "caution" },
  down: { label: "Down", meaning: "It does not work.", tone: "worse" },
};

/** The whole in one sentence. */
export const STATUS_HEADLINES: Record<State, string> = {
  ok: "Everything works",
  unknown: "Nobody has looked lately",
  degraded: "Something is slow or partly failing",
  down: "Something does not work",
};

const PARTS: Record<string, { label: string; note: string }> = {
  api: { label: "Console and API", note: "Asked over HTTP, as a browser does; it reads the database." },
  proxy: { label: "Proxy", note: "Whether LLM calls can be taken and recorded." },
  database: { label: "Database", note: "A moment is written and read back." },
  jobs: { label: "Background work", note: "For how long work that is due has waited." },
};

/** What a part is called; one of several has its place in brackets. */
export function partName(component: string): { label: string; note: string } {
  const [part = component, place] = component.split("/");
  const known = PARTS[part] ?? { label: part, note: "" };
  return place ? { ...known, label: `${known.label} (${place})` } : known;
}

/** What a day's bar shows: the worst that was found, and nothing where nothing is known. */
export function dayState(day: Day): State {
  if (day.down_minutes > 0) return "down";
  if (day.degraded_minutes > 0) return "degraded";
  return day.ok_minutes > 0 ? "ok" : "unknown";
}

function minutes(count: number): string {
  return count < 120 ? `${count} min` : `${(count / 60).toFixed(count % 60 === 0 ? 0 : 1)} h`;
}

/** `24 Nov 2026: down 7 min, slow 2 min, unknown 40 min`. */
export function dayInWords(day: Day): string {
  const parts = [
    day.down_minutes > 0 ? `down ${minutes(day.down_minutes)}` : null,
    day.degraded_minutes > 0 ? `degraded ${minutes(day.degraded_minutes)}` : null,
    day.ok_minutes > 0 && day.down_minutes + day.degraded_minutes === 0 ? "all well" : null,
    day.unknown_minutes > 0 ? `unknown ${minutes(day.unknown_minutes)}` : null,
  ].filter((part) => part);
  return `${fullDay(day.day, "UTC")}: ${parts.length === 0 ? "not over" : parts.join(", ")}`;
}

/** The bars of a part in one sentence, for whoever does not see them. */
export function barsInWords(days: readonly Day[]): string {
  const count = (state: State) => days.filter((day) => dayState(day) === state).length;
  const told = [
    [count("ok"), "all well"],
    [count("degraded"), "partly degraded"],
    [count("down"), "partly down"],
    [count("unknown"), "unknown"],
  ] as const;
  return `The last ${days.length} days: ${told.filter(([on]) => on > 0).map(([on, what]) => `${on} ${what}`).join(", ")}`;
}

/** How long an incident lasted or lasts. */
export function lasted(started: string, ended: string | null | undefined, now: number): string {
  const whole = Math.max(0, Math.floor(((ended ? Date.parse(ended) : now) - Date.parse(started)) / 60_000));
  const hours = Math.floor(whole / 60);
  const text = hours === 0 ? `${whole} min` : `${hours} h ${whole % 60} min`;
  return ended ? text : `${text} so far`;
}

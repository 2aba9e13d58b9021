// Token classes as the console shows them: disjoint, in one order, with one name and one colour each.
import type { Usage } from "@/api/types";

export interface TokenClass {
  key: "fresh_input" | "cache_read" | "cache_write_5m" | "cache_write_1h" | "output" | "audio_input" | "audio_output";
  label: string;
  color: string;
}

export const TOKEN_CLASSES: readonly TokenClass[] = [
  { key: "fresh_input", label: "Fresh input", color: "var(--class-fresh)" },
  { key: "cache_read", label: "Cache read", color: "var(--class-read)" },
  { key: "cache_write_5m", label: "Cache write 5 min", color: "var(--class-write)" },
  { key: "cache_write_1h", label: "Cache write 1 h", color: "var(--class-write)" },
  { key: "output", label: "Output", color: "var(--class-output)" },
  { key: "audio_input", label: "Audio input", color: "var(--class-audio)" },
  { key: "audio_output", label: "Audio output", color: "var(--class-audio)" },
];

export type TokenCounts = Partial<Record<TokenClass["key"], number>>;

export interface TokenPart extends TokenClass {
  count: number;
  percent: number;
}

/** The classes that occur, with their part of the whole. Reasoning is inside output and never counted again. */
export function tokenParts(usage: TokenCounts): TokenPart[] {
  const total = totalTokens(usage);
  return TOKEN_CLASSES.flatMap((kind) => {
    const count = usage[kind.key] ?? 0;
    return count > 0 ? [{ ...kind, count, percent: (count / total) * 100 }] : [];
  });
}

export function totalTokens(usage: TokenCounts): number {
  return TOKEN_CLASSES.reduce((sum, kind) => sum + (usage[kind.key] ?? 0), 0);
}

const RARE_CLASSES: Record<string, string> = { cache_write_30m: "Cache write 30 min" };

/** A class's name for people: `cache_write_5m` is `Cache write 5 min`; anything else in plain words. */
export function tokenClassLabel(key: string): string {
  return TOKEN_CLASSES.find((kind) => kind.key === key)?.label ?? RARE_CLASSES[key] ?? plainWords(key);
}

/** `provisioned_throughput` is `Provisioned throughput`. */
export function plainWords(key: string): string {
  const spaced = key.replace(/[_]+/g, " ").trim();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

/** The counts in words, for a reader who does not see the bar. */
export function tokensInWords(usage: Usage | TokenCounts): string {
  const parts = tokenParts(usage).map((part) => `${part.count.toLocaleString("en-US")} ${part.label.toLowerCase()}`);
  return parts.length > 0 ? parts.join(", ") : "no tokens";
}

/** 1234 is `1,234`, 12345 is `12.3k`, 1234567 is `1.23M`. */
export function shortCount(count: number): string {
  if (count < 10_000) return count.toLocaleString("en-US");
  if (count < 999_500) return `${(count / 1000).toPrecision(3)}k`;
  if (count < 999_500_000) return `${(count / 1_000_000).toPrecision(3)}M`;
  return `${(count / 1_000_000_000).toPrecision(3)}B`;
}

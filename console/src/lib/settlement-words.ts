// Why an estimate and a bill differ, in words for whoever reads the bill.
import type { SettledCost, Settlement, SettlementFinding, SettlementPrice, SettlementReason } from "@/api/types";
import type { Word } from "./words";

export const REASON_WORDS: Record<SettlementReason, Word> = {
  unproxied: { label: "Around the proxy", meaning: "Billed, and no call through the proxy used it. Coverage says whose it is.", tone: "caution" },
  lag: { label: "Not billed yet", meaning: "Calls whose day the bill does not have to its end. They are settled by what it is expected to charge.", tone: "neutral" },
  aborted_streams: { label: "Streams left early", meaning: "A client hung up, so the usage was estimated; the provider charged what it really wrote.", tone: "neutral" },
  cache_ttl: { label: "Cache lifetime", meaning: "Cache writes were metered with another lifetime than they were billed with.", tone: "neutral" },
  tier: { label: "Service tier", meaning: "Served in another tier than was metered: flex, priority, batch.", tone: "neutral" },
  routing: { label: "Routing", meaning: "Served by another route than was metered: global instead of regional, say.", tone: "neutral" },
  long_context: { label: "Long prompts", meaning: "Prompts beyond the model's context tier have a price of their own.", tone: "neutral" },
  price: { label: "Another price", meaning: "The catalogue's price is not the billed one, or there was none. Unit prices shows both.", tone: "caution" },
  unit_change: { label: "Another unit", meaning: "One of the two counted in thousands what the other counted in millions.", tone: "caution" },
  discount: { label: "Discounts", meaning: "Private rates, contract discounts and commitments.", tone: "good" },
  credit: { label: "Credits", meaning: "Credits and refunds: lines of their own that no call caused.", tone: "good" },
  tax: { label: "Taxes", meaning: "Lines of their own that no call caused.", tone: "neutral" },
  unmetered: { label: "Not by the token", meaning: "AI that is charged by the hour, the seat or the gigabyte. No proxied call could be it.", tone: "neutral" },
  rounding: { label: "Rounding", meaning: "Less than the rounding of the bill's lines can make.", tone: "neutral" },
  unknown: { label: "Unknown", meaning: "None of these. Above one per cent of the bill the month turns amber.", tone: "worse" },
};

export const FINDING_WORDS: Record<SettlementFinding, Word> = {
  agrees: { label: "Agrees", meaning: "The bill's price is the catalogue's.", tone: "good" },
  discount: { label: "Discount", meaning: "Lower for several things at once: a private rate.", tone: "good" },
  differs: { label: "Differs", meaning: "Another price than the catalogue's: it changed, or the catalogue is wrong.", tone: "caution" },
  unit: { label: "Unit", meaning: "A factor of a thousand apart: one of the two counts in another unit.", tone: "caution" },
  unlisted: { label: "Not listed", meaning: "The catalogue has no price for it.", tone: "neutral" },
};

/** How far a call is settled. */
export const SETTLED_WORDS: Record<SettledCost["state"], Word> = {
  settled: { label: "Settled", meaning: "The bill has the whole of its day.", tone: "bill" },
  provisional: { label: "Provisional", meaning: "The bill's next delivery may still change it.", tone: "caution" },
  absent: { label: "Not on the bill", meaning: "The bill knows nothing of this model in this account, so the call was charged elsewhere.", tone: "neutral" },
};

/** How sure it is that the billed tokens were the call's. */
export const MATCH_WORDS: Record<SettledCost["confidence"], Word> = {
  certain: { label: "Certain", meaning: "The counts leave no choice which billed tokens were its own.", tone: "good" },
  likely: { label: "Likely", meaning: "Which billed tokens were its own follows from its marks, or from calls like it on other days.", tone: "neutral" },
  shared: { label: "Shared", meaning: "It could not be told apart from other calls, and has its share of what is theirs together.", tone: "caution" },
};

/** What a unit price counts: `output, batch, long prompts`. */
export function countedInWords({ kind, tier, routing, long_context }: Pick<SettlementPrice, "kind" | "tier" | "routing" | "long_context">): string {
  const parts = [kind, tier === "standard" ? "" : tier, routing === "regional" ? "" : routing, long_context ? "long prompts" : ""];
  return parts.filter(Boolean).join(", ").replaceAll("_", " ");
}

/** A month as people say it: `October 2026`. */
export function monthInWords(month: string): string {
  return new Date(`${month.slice(0, 7)}-01T00:00:00Z`).toLocaleDateString("en-US", { month: "long", year: "numeric", timeZone: "UTC" });
}

/** The last part of an ARN says who; of an assumed role the role, too: its session is a machine's or a person's name. */
export function principalInWords(principal: string): string {
  if (principal === "") return "not named";
  const session = /:assumed-role\/(.+)$/.exec(principal)?.[1];
  return session ?? principal.split("/").at(-1) ?? principal;
}

/** Who issues a bill. */
export const ISSUERS: Record<Settlement["issuer"], string> = { aws: "AWS", anthropic: "Anthropic", openai: "OpenAI", azure: "Azure", google: "Google" };

// Plain words for what follows from the facts: surprises and their parts, what happened, how sure a saving is.
import { groupedNumber, shortMoney } from "./money";
import { readable } from "./notice-words";
import { monthInWords, principalInWords } from "./settlement-words";
import type { Word } from "./words";

const CAUSES: Record<string, string> = {
  volume: "more use",
  tokens_per_request: "longer calls",
  price: "price",
  mix: "dearer mix",
  fees: "fees",
};

const LESS: Record<string, string> = {
  volume: "less use",
  tokens_per_request: "shorter calls",
  price: "price",
  mix: "cheaper mix",
  fees: "fees",
};

/** What made a part of a difference; `amount` is exact text and negative where it made things cheaper. */
export function causeInWords(cause: string, amount: string): string {
  const words = amount.startsWith("-") ? LESS : CAUSES;
  return words[cause] ?? readable(cause);
}

const HAPPENED: Record<string, string> = {
  new_service: "A first service",
  new_account: "A first use by an account",
  new_region: "A first region",
  new_model: "A first model",
  new_principal: "A first principal",
  new_provider: "A first provider",
  first_provisioned_throughput: "First throughput bought ahead",
  first_endpoint: "A first endpoint",
  new_accelerator: "A first type of accelerator",
  price_changed: "Another price",
  cache_turned_on: "A prompt cache is used",
  cache_turned_off: "A prompt cache is no longer used",
  shadow_use: "Use past the proxy",
  month_restated: "A month was delivered again",
};

export function happenedInWords(kind: string): string {
  return HAPPENED[kind] ?? readable(kind);
}

const CONFIDENCE: Record<string, Word> = {
  high: { label: "Sure", meaning: "Waste and amount follow from the bill.", tone: "good" },
  medium: { label: "Likely", meaning: "The waste is proven and its amount rests on what is named, or the other way round.", tone: "neutral" },
  low: { label: "Perhaps", meaning: "The saving rests on what is assumed below.", tone: "caution" },
};

export function confidenceWord(confidence: string): Word {
  return CONFIDENCE[confidence] ?? { label: readable(confidence), meaning: "How sure it is.", tone: "neutral" };
}

const BILL_VERDICTS: Record<string, Word> = {
  confirmed: { label: "On the bill", meaning: "The bills show it, too.", tone: "neutral" },
  lower: { label: "Less on the bill", meaning: "The bills show less than half of it: it lay in the estimates, or in calls that they do not have.", tone: "caution" },
  absent: { label: "Not on a bill", meaning: "The bills that are read have none of these calls.", tone: "caution" },
};

/** What the bills made of a surprise among calls. */
export function billVerdict(verdict: string): Word {
  return BILL_VERDICTS[verdict] ?? { label: readable(verdict), meaning: "What the bills say.", tone: "neutral" };
}

/** A figure of the evidence, with its name: `cost global $8,124.40`, `tokens 560,755,333`. */
export function figureInWords(name: string, value: string, currency: string): string {
  const words = readable(name).toLowerCase();
  if (/^(cost|unused|read_saving|write_premium)/.test(name)) return `${words} ${shortMoney(value, currency)}`;
  return `${words} ${groupedNumber(value)}`;
}

/** What an event happened to: months as people say them, principals by their last part. */
export function subjectInWords(kind: string, subject: string): string {
  if (kind === "month_restated" && /^\d{4}-\d{2}$/.test(subject)) return monthInWords(subject);
  return subject.startsWith("arn:") ? principalInWords(subject) : subject;
}

/** Whether an event's amount is a difference and no cost. */
export const isDifference = (kind: string): boolean => kind === "month_restated" || kind === "price_changed";

/** What was watched: `total`, `key:…`, `bill:model:…`. */
export function seriesInWords(series: string, keyName: (id: string) => string): string {
  if (series.startsWith("bill:")) {
    const [by, ...name] = series.slice("bill:".length).split(":");
    if (by === "total") return "the whole bill";
    return `${by} ${by === "principal" ? principalInWords(name.join(":")) : name.join(":")} on the bill`;
  }
  const [by, ...name] = series.split(":");
  if (by === "total") return "all calls together";
  return by === "key" ? keyName(name.join(":")) : `${by} ${name.join(":")}`;
}

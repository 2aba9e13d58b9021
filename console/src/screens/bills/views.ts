// The names of a bill's dimensions and of its costs.
import { type BillMeasure, MEASURES, type View } from "./search";

export const VIEW_LABELS: Record<View, string> = {
  service: "Service",
  model: "Model",
  token_class: "Token class",
  category: "Kind of use",
  account: "Account",
  region: "Region",
  principal: "Principal",
  accelerator: "Accelerators",
};

/** Each cost of a bill: what it is called, and what it is in a line. */
export const MEASURE_WORDS: Record<BillMeasure, { label: string; meaning: string }> = {
  unblended: { label: "As billed", meaning: "What each day was charged, before private discounts." },
  net_unblended: { label: "Net", meaning: "As billed, after private discounts." },
  amortised: { label: "Amortised", meaning: "Commitments are spread over what they cover." },
  net_amortised: { label: "Net amortised", meaning: "Commitments are spread, after private discounts: what use really costs." },
  list: { label: "List price", meaning: "By the public price list, without any discount or commitment." },
};

export const MEASURE_OPTIONS = MEASURES.map((value) => ({
  value,
  label: MEASURE_WORDS[value].label,
  note: MEASURE_WORDS[value].meaning,
}));

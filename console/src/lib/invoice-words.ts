// Plain words for how a source of a vendor's own cost reports is.
import type { InvoiceSource } from "@/api/types";
import type { Word } from "./words";

export const INVOICE_STATE_WORDS: Record<InvoiceSource["state"], Word> = {
  pending: { label: "Asking", meaning: "The vendor is being asked with this key for the first time.", tone: "neutral" },
  active: { label: "Active", meaning: "The reports are read once a day.", tone: "good" },
  paused: { label: "Paused", meaning: "Nothing is read until it is resumed. What was read stays.", tone: "neutral" },
  failing: { label: "Failing", meaning: "The reports cannot be read. It is tried again by itself, ever more seldom.", tone: "worse" },
  revoked: { label: "Ended", meaning: "Nothing is read any more, and the key is gone. What was read stays.", tone: "neutral" },
};

export const VENDOR_NAMES: Record<InvoiceSource["vendor"], string> = { anthropic: "Anthropic", openai: "OpenAI" };

/** What a vendor's admin keys begin with. */
export const KEY_PREFIXES: Record<InvoiceSource["vendor"], string> = { anthropic: "sk-ant-admin", openai: "sk-admin-" };

// Plain words for how a connected AWS account and its months are.
import type { AwsConnection, BillMonth } from "@/api/types";
import type { Word } from "./words";

export const AWS_STATE_WORDS: Record<AwsConnection["state"], Word> = {
  pending: { label: "Waiting for the role", meaning: "The role was not seen yet. It is looked for by itself.", tone: "caution" },
  verifying: { label: "Looking", meaning: "The role, the bucket and what lies in it are being looked at.", tone: "neutral" },
  active: { label: "Active", meaning: "New deliveries are read by themselves.", tone: "good" },
  paused: { label: "Paused", meaning: "Nothing is read until it is resumed. What was read stays.", tone: "neutral" },
  failing: { label: "Failing", meaning: "The bill cannot be read. It is tried again by itself, ever more seldom.", tone: "worse" },
  revoked: { label: "Ended", meaning: "Nothing is read any more. What was read stays.", tone: "neutral" },
};

export const MONTH_STATE_WORDS: Record<BillMonth["state"], Word> = {
  waiting: { label: "Waiting", meaning: "A delivery was seen and waits to be read.", tone: "neutral" },
  reading: { label: "Reading", meaning: "The delivery is being read.", tone: "neutral" },
  current: { label: "Current", meaning: "The newest delivery counts.", tone: "good" },
  failed: { label: "Failed", meaning: "The newest delivery could not be read. The one before it counts, if there is one.", tone: "worse" },
};

export const FINALITY_WORDS: Record<NonNullable<BillMonth["delivery"]>["finality"], Word> = {
  open: { label: "Provisional", meaning: "The month runs: more is to come.", tone: "caution" },
  closing: { label: "Closing", meaning: "The month is over, and AWS still adds to it.", tone: "caution" },
  invoiced: { label: "Final", meaning: "Two weeks have passed since the month's end.", tone: "good" },
  restated: { label: "Restated", meaning: "AWS changed the month after that.", tone: "bill" },
};

/** Whether something will change by itself within seconds, so that the page looks again. */
export const isMoving = (state: AwsConnection["state"]): boolean => state === "pending" || state === "verifying";

/** `2026-09` as people say it. */
export function monthName(month: string): string {
  const [year, number] = month.split("-").map(Number);
  const name = new Date(Date.UTC(year ?? 0, (number ?? 1) - 1, 1));
  return name.toLocaleDateString("en-US", { month: "long", year: "numeric", timeZone: "UTC" });
}

// A small label with a meaning: hover or focus tells what the word stands for.
import { type Tone, type Word } from "@/lib/words";
import { cx } from "./cx";
import { Hint } from "./hint";

const TONES: Record<Tone, string> = {
  good: "bg-accent-soft text-accent-ink",
  neutral: "bg-sunken text-muted",
  caution: "bg-caution-soft text-caution",
  worse: "bg-worse-soft text-worse",
  bill: "bg-bill-soft text-bill-ink",
};

export function Badge({ tone = "neutral", children }: { tone?: Tone; children: React.ReactNode }) {
  return (
    <span className={cx("inline-flex h-5 items-center whitespace-nowrap rounded-md px-1.5 text-xs font-medium", TONES[tone])}>
      {children}
    </span>
  );
}

export function WordBadge({ word }: { word: Word }) {
  return (
    <Hint text={word.meaning}>
      <Badge tone={word.tone}>{word.label}</Badge>
    </Hint>
  );
}

// The tokens of a call as one thin bar: disjoint classes, so the parts are the whole.
import { type TokenCounts, tokenParts, tokensInWords, totalTokens, shortCount } from "@/lib/tokens";
import { cx } from "./cx";

export function TokenBar({ usage, className, count }: { usage: TokenCounts; className?: string; count?: boolean }) {
  const parts = tokenParts(usage);
  const words = tokensInWords(usage);
  return (
    <span className={cx("inline-flex items-center gap-2", className)} title={words}>
      {count ? <span className="num w-12 text-right text-sm">{shortCount(totalTokens(usage))}</span> : null}
      <span role="img" aria-label={words} className="flex h-1.5 min-w-10 flex-1 overflow-hidden rounded-full bg-sunken">
        {parts.map((part) => (
          <span key={part.key} style={{ width: `${part.percent}%`, background: part.color }} />
        ))}
      </span>
    </span>
  );
}

export function TokenLegend({ usage }: { usage: TokenCounts & { reasoning?: number; web_searches?: number } }) {
  const rows = tokenParts(usage);
  return (
    <dl className="grid grid-cols-[1fr_auto] gap-x-4 gap-y-1.5 text-sm">
      {rows.map((part) => (
        <div key={part.key} className="contents">
          <dt className="flex items-center gap-2">
            <span className="size-2 rounded-full" style={{ background: part.color }} aria-hidden />
            {part.label}
            {part.key === "output" && usage.reasoning ? (
              <span className="text-muted">of which {usage.reasoning.toLocaleString("en-US")} reasoning</span>
            ) : null}
          </dt>
          <dd className="num text-right">{part.count.toLocaleString("en-US")}</dd>
        </div>
      ))}
      {usage.web_searches ? (
        <div className="contents">
          <dt className="pl-4">Web searches</dt>
          <dd className="num text-right">{usage.web_searches.toLocaleString("en-US")}</dd>
        </div>
      ) : null}
    </dl>
  );
}

// Copies text and says so. Where the clipboard is closed (plain http from another host) it selects nothing and says so.
import { Check, Copy } from "lucide-react";
import { useEffect, useState } from "react";
import { cx } from "./cx";

type Told = "idle" | "copied" | "refused";

export function CopyButton({ text, label, className, children }: { text: string; label: string; className?: string; children?: React.ReactNode }) {
  const [told, setTold] = useState<Told>("idle");
  useEffect(() => {
    if (told === "idle") return;
    const timer = setTimeout(() => setTold("idle"), 1800);
    return () => clearTimeout(timer);
  }, [told]);

  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setTold("copied");
    } catch {
      setTold("refused");
    }
  };

  const said = told === "copied" ? "Copied" : told === "refused" ? "Copy by hand" : children;
  return (
    <button
      type="button"
      onClick={copy}
      aria-label={told === "copied" ? "Copied" : label}
      className={cx(
        "inline-flex h-7 items-center gap-1.5 rounded-md px-1.5 text-xs font-medium text-muted transition-colors hover:bg-sunken hover:text-ink",
        className,
      )}
    >
      {told === "copied" ? <Check className="size-3.5 text-accent-ink" aria-hidden /> : <Copy className="size-3.5" aria-hidden />}
      {said}
    </button>
  );
}

export function CodeBlock({ code, label, wrap }: { code: string; label: string; wrap?: boolean }) {
  const copy = (
    <CopyButton text={code} label={`Copy: ${label}`} className="shrink-0 border border-line-strong bg-surface">
      Copy
    </CopyButton>
  );
  return (
    <div className={cx("overflow-clip rounded-lg border bg-sunken", wrap && "flex items-center gap-2 pr-2")}>
      {wrap ? null : (
        <div className="flex items-center justify-between border-b py-1 pl-3 pr-1.5 text-xs text-muted">
          {label}
          {copy}
        </div>
      )}
      <pre
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a region that scrolls must be reachable by keyboard
        tabIndex={0}
        aria-label={label}
        className={cx("min-w-0 flex-1 overflow-x-auto p-3 font-mono text-xs leading-5 outline-offset-[-3px]", wrap && "whitespace-pre-wrap break-all")}
      >
        {code}
      </pre>
      {wrap ? copy : null}
    </div>
  );
}

// Buttons and links that look like buttons. Four weights; the danger one is for what cannot be undone.
import { LoaderCircle } from "lucide-react";
import type { ComponentProps, ReactNode } from "react";
import { cx } from "./cx";

export type Weight = "primary" | "plain" | "quiet" | "danger";

const WEIGHTS: Record<Weight, string> = {
  primary: "bg-accent text-on-accent hover:bg-accent-strong border-transparent shadow-pop",
  plain: "bg-surface text-ink border-line-strong hover:bg-sunken shadow-pop",
  quiet: "bg-transparent text-muted border-transparent hover:bg-sunken hover:text-ink",
  danger: "bg-surface text-worse border-line-strong hover:bg-worse-soft",
};

export function buttonLook(weight: Weight = "plain", size: "normal" | "small" | "icon" = "normal"): string {
  return cx(
    "inline-flex shrink-0 select-none items-center justify-center gap-1.5 whitespace-nowrap rounded-lg border font-medium transition-colors",
    "disabled:pointer-events-none disabled:opacity-50 aria-disabled:pointer-events-none aria-disabled:opacity-50",
    size === "normal" && "h-9 px-3.5 text-base",
    size === "small" && "h-8 px-2.5 text-sm",
    size === "icon" && "size-8",
    WEIGHTS[weight],
  );
}

export interface ButtonProps extends ComponentProps<"button"> {
  weight?: Weight;
  size?: "normal" | "small" | "icon";
  busy?: boolean;
  icon?: ReactNode;
}

export function Button({ weight, size, busy, icon, className, children, type, disabled, ...rest }: ButtonProps) {
  return (
    <button
      type={type === "submit" ? "submit" : "button"}
      className={cx(buttonLook(weight, size), className)}
      disabled={disabled || busy}
      aria-busy={busy || undefined}
      {...rest}
    >
      {busy ? <LoaderCircle className="size-4 animate-spin" aria-hidden /> : icon}
      {children}
    </button>
  );
}

// An amount of money: rounded for reading, with every digit on hover. An amount that is not known says so.
import { exactMoney, shortMoney } from "@/lib/money";
import { cx } from "./cx";

export interface AmountProps {
  value: string | null | undefined;
  currency?: string;
  exact?: boolean;
  className?: string;
}

export function Amount({ value, currency = "USD", exact, className }: AmountProps) {
  if (value === null || value === undefined) {
    return <span className={cx("text-muted", className)}>unpriced</span>;
  }
  const every = exactMoney(value, currency);
  return (
    <span className={cx("num whitespace-nowrap", className)} title={every}>
      {exact ? every : shortMoney(value, currency)}
    </span>
  );
}

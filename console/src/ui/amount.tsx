// An amount of money: rounded for reading, with every digit on hover. An amount that is not known says so.
import { exactMoney, shortMoney, signedMoney } from "@/lib/money";
import { cx } from "./cx";

export interface AmountProps {
  value: string | null | undefined;
  currency?: string;
  exact?: boolean;
  /** A difference: a plus stands before what is more. */
  signed?: boolean;
  /** The word for an amount that is not known. */
  unknown?: string;
  className?: string;
}

export function Amount({ value, currency = "USD", exact, signed, unknown = "unpriced", className }: AmountProps) {
  if (value === null || value === undefined) {
    return <span className={cx("text-muted", className)}>{unknown}</span>;
  }
  const every = exactMoney(value, currency);
  return (
    <span className={cx("num whitespace-nowrap", className)} title={every}>
      {exact ? every : signed ? signedMoney(value, currency) : shortMoney(value, currency)}
    </span>
  );
}

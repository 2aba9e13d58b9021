// Chooses the time a screen looks at.
import { RANGE_LABELS, RANGES, type RangeName, type RangeSearch, spanOf } from "@/lib/range";
import { Choose } from "@/ui/choose";

export interface RangePickerProps {
  value: RangeSearch;
  onChange: (range: RangeSearch) => void;
  now: number;
  /** The label of no range at all, where that is a choice. */
  none?: string;
}

export function RangePicker({ value, onChange, now, none }: RangePickerProps) {
  const fixed = value.from !== undefined;
  const chosen = fixed ? "fixed" : (value.range ?? (none ? "none" : "30d"));
  const options: { value: RangeName | "fixed" | "none"; label: string }[] = RANGES.map((range) => ({
    value: range,
    label: RANGE_LABELS[range],
  }));
  if (none) options.unshift({ value: "none", label: none });
  if (fixed) options.push({ value: "fixed", label: spanOf(value, now).label });
  return (
    <Choose
      label="Time"
      value={chosen}
      options={options}
      marked={none !== undefined && chosen !== "none"}
      onChange={(next) => (next === "fixed" ? undefined : onChange(next === "none" ? {} : { range: next }))}
    />
  );
}

// A line without axes, to show a shape beside a figure.
export function Spark({ values, color = "var(--accent)" }: { values: number[]; color?: string }) {
  const top = Math.max(...values, 0);
  if (values.length < 2 || top === 0) return null;
  const points = values.map((value, at) => `${(at / (values.length - 1)) * 100},${27 - (Math.max(0, value) / top) * 25}`);
  return (
    <svg viewBox="0 0 100 28" preserveAspectRatio="none" className="h-7 w-20" aria-hidden>
      <path d={`M0,28 L${points.join(" L")} L100,28 Z`} fill={color} opacity="0.12" />
      <path d={`M${points.join(" L")}`} fill="none" stroke={color} strokeWidth="1.5" vectorEffect="non-scaling-stroke" strokeLinejoin="round" />
    </svg>
  );
}

// A share of a whole as a bar behind nothing else than its own length.
export function ShareBar({ part, whole, color = "var(--accent)" }: { part: number; whole: number; color?: string }) {
  const percent = whole > 0 ? Math.max(0, Math.min(100, (part / whole) * 100)) : 0;
  return (
    <span className="block h-1.5 w-full overflow-hidden rounded-full bg-sunken" aria-hidden>
      <span className="block h-full rounded-full" style={{ width: `${percent}%`, background: color }} />
    </span>
  );
}

// The mark: a lens over three bars.
export function Mark({ className = "size-6" }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" className={className} aria-hidden>
      <rect width="32" height="32" rx="8" fill="var(--accent)" />
      <g fill="none" stroke="var(--on-accent)" strokeWidth="2.6" strokeLinecap="round">
        <circle cx="14" cy="14" r="7.5" />
        <path d="M19.6 19.6 25 25M11 16.2v-2M14 16.2v-5M17 16.2v-3.4" />
      </g>
    </svg>
  );
}

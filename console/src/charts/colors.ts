// Resolves the theme's tokens for code that needs plain colours.

/** The colour that a CSS value such as `var(--line)` has right now. */
export function resolveColor(value: string): string {
  const probe = document.createElement("span");
  probe.style.color = value;
  probe.hidden = true;
  document.body.append(probe);
  const resolved = getComputedStyle(probe).color;
  probe.remove();
  return resolved;
}

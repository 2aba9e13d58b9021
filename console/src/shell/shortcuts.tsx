// Keyboard ways through the console: `g` and a letter goes somewhere, `/` finds the filter, `?` lists them all.
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { Dialog } from "@/ui/dialog";
import { PLACES } from "./places";

const SEQUENCE_MS = 1200;

export function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

export function useShortcuts(showHelp: () => void): void {
  const navigate = useNavigate();
  const goingSince = useRef(0);
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target)) return;
      if (document.querySelector("[role=dialog],[role=alertdialog]")) return;
      const going = Date.now() - goingSince.current < SEQUENCE_MS;
      goingSince.current = event.key === "g" && !going ? Date.now() : 0;
      if (going) {
        const place = PLACES.find(({ key }) => key === event.key);
        if (place) void navigate({ to: place.to });
      } else if (event.key === "/") {
        const field = document.querySelector<HTMLInputElement>("[data-finds]");
        if (!field) return;
        event.preventDefault();
        field.focus();
      } else if (event.key === "?") {
        showHelp();
      }
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, [navigate, showHelp]);
}

const ROWS: readonly (readonly [string, readonly string[]])[] = [
  ...PLACES.map((place) => [`Go to ${place.label}`, ["g", place.key]] as const),
  ["Find in the list", ["/"]],
  ["Next and previous row", ["j", "k"]],
  ["Open the row's receipt", ["Enter"]],
  ["This list", ["?"]],
];

export function ShortcutsDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Keyboard">
      <dl className="divide-y">
        {ROWS.map(([what, keys]) => (
          <div key={what} className="flex items-center justify-between py-2">
            <dt>{what}</dt>
            <dd className="flex gap-1">
              {keys.map((key) => (
                <kbd key={key} className="min-w-6 rounded-md border bg-sunken px-1.5 text-center font-mono text-xs leading-6">
                  {key}
                </kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}

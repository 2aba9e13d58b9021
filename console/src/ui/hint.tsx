// A tooltip: more about what it surrounds, by hover and by keyboard focus.
import { Tooltip } from "@base-ui/react/tooltip";
import type { ReactNode } from "react";

export function Hint({ text, children }: { text: ReactNode; children: ReactNode }) {
  return (
    <Tooltip.Root>
      <Tooltip.Trigger className="cursor-help rounded-md">{children}</Tooltip.Trigger>
      <Tooltip.Portal>
        <Tooltip.Positioner sideOffset={6} collisionPadding={8} className="z-50">
          <Tooltip.Popup className="enters max-w-72 rounded-lg bg-ink px-2.5 py-1.5 text-xs text-page shadow-lg">
            {text}
          </Tooltip.Popup>
        </Tooltip.Positioner>
      </Tooltip.Portal>
    </Tooltip.Root>
  );
}

// Dialogs and side sheets: focus is kept inside, Escape closes, and the page behind does not scroll.
import { AlertDialog } from "@base-ui/react/alert-dialog";
import { Dialog as Base } from "@base-ui/react/dialog";
import { X } from "lucide-react";
import type { ReactNode } from "react";
import { asApiError } from "@/api/problem";
import { Button, buttonLook } from "./button";
import { cx } from "./cx";

const BACKDROP = "fixed inset-0 z-40 bg-shade transition-opacity duration-150 data-[ending-style]:opacity-0 data-[starting-style]:opacity-0";
const POPUP =
  "enters fixed left-1/2 top-[max(4vh,1rem)] z-50 flex max-h-[92dvh] w-[calc(100vw-2rem)] -translate-x-1/2 flex-col rounded-2xl border bg-surface shadow-2xl sm:top-[10vh] sm:max-h-[80dvh]";

export interface DialogProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  description?: ReactNode;
  wide?: boolean;
  /** Closes only by its own buttons. */
  held?: boolean;
  children: ReactNode;
}

export function Dialog({ open, onOpenChange, title, description, wide, held, children }: DialogProps) {
  return (
    <Base.Root
      open={open}
      onOpenChange={(next) => {
        if (!held || next) onOpenChange(next);
      }}
      disablePointerDismissal={held}
    >
      <Base.Portal>
        <Base.Backdrop className={BACKDROP} />
        <Base.Popup className={cx(POPUP, wide ? "max-w-2xl" : "max-w-md")}>
          <div className="flex items-start gap-3 px-5 pb-1 pt-5">
            <div className="min-w-0 flex-1">
              <Base.Title className="text-lg font-semibold leading-6">{title}</Base.Title>
              {description ? <Base.Description className="mt-1 text-muted">{description}</Base.Description> : null}
            </div>
            {held ? null : (
              <Base.Close className={buttonLook("quiet", "icon")} aria-label="Close">
                <X className="size-4" aria-hidden />
              </Base.Close>
            )}
          </div>
          <div className="overflow-y-auto px-5 pb-5 pt-3">{children}</div>
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  );
}

export interface SheetProps {
  open: boolean;
  onClose: () => void;
  title: ReactNode;
  description?: ReactNode;
  tools?: ReactNode;
  children: ReactNode;
}

/** A panel at the right edge; the whole width on a phone. */
export function Sheet({ open, onClose, title, description, tools, children }: SheetProps) {
  return (
    <Base.Root open={open} onOpenChange={(next) => (next ? undefined : onClose())}>
      <Base.Portal>
        <Base.Backdrop className={BACKDROP} />
        <Base.Popup className="slides fixed inset-y-0 right-0 z-50 flex w-full max-w-[560px] flex-col border-l bg-surface shadow-2xl">
          <div className="flex items-start gap-2 border-b px-5 py-4">
            <div className="min-w-0 flex-1">
              <Base.Title className="truncate text-lg font-semibold leading-6">{title}</Base.Title>
              {description ? <Base.Description className="mt-0.5 text-sm text-muted">{description}</Base.Description> : null}
            </div>
            {tools}
            <Base.Close className={buttonLook("quiet", "icon")} aria-label="Close">
              <X className="size-4" aria-hidden />
            </Base.Close>
          </div>
          <div className="flex-1 overflow-y-auto px-5 py-4">{children}</div>
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  );
}

export interface ConfirmProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  children: ReactNode;
  action: string;
  busy: boolean;
  error: unknown;
  onConfirm: () => void;
}

/** Asks before something that cannot be undone. */
export function Confirm({ open, onOpenChange, title, children, action, busy, error, onConfirm }: ConfirmProps) {
  return (
    <AlertDialog.Root open={open} onOpenChange={onOpenChange}>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className={BACKDROP} />
        <AlertDialog.Popup className={cx(POPUP, "max-w-md p-5")}>
          <AlertDialog.Title className="text-lg font-semibold leading-6">{title}</AlertDialog.Title>
          <AlertDialog.Description className="mt-1.5 text-muted" render={<div />}>
            {children}
          </AlertDialog.Description>
          {error ? (
            <p role="alert" className="mt-3 text-worse">
              {asApiError(error).message}
            </p>
          ) : null}
          <div className="mt-5 flex justify-end gap-2">
            <AlertDialog.Close className={buttonLook("plain")}>Cancel</AlertDialog.Close>
            <Button weight="danger" busy={busy} onClick={onConfirm}>
              {action}
            </Button>
          </div>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}

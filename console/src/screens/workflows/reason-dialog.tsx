// Asks why, before the operator does something that stays with the record.
import { type FormEvent, type ReactNode, useState } from "react";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { Problem } from "@/ui/states";

export interface ReasonDialogProps {
  open: boolean;
  title: string;
  description: string;
  action: string;
  danger?: boolean;
  busy: boolean;
  /** It happened; a second time needs the dialog anew. */
  done?: boolean;
  error: unknown;
  children?: ReactNode;
  onClose: () => void;
  onReason: (reason: string) => void;
}

export function ReasonDialog({ open, title, description, onClose, ...rest }: ReasonDialogProps) {
  return (
    <Dialog open={open} onOpenChange={(next) => (next ? undefined : onClose())} title={title} description={description}>
      <ReasonForm onClose={onClose} {...rest} />
    </Dialog>
  );
}

function ReasonForm({ action, danger, busy, done, error, children, onClose, onReason }: Omit<ReasonDialogProps, "open" | "title" | "description">) {
  const [reason, setReason] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onReason(reason.trim());
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {children}
      <TextField
        label="Why"
        value={reason}
        onChange={(event) => setReason(event.target.value)}
        help="Stays with the record."
        required
        maxLength={500}
        autoComplete="off"
        // oxlint-disable-next-line jsx-a11y/no-autofocus -- the dialog was opened to type this reason
        autoFocus
      />
      {error ? <Problem error={error} /> : null}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Close</Button>
        <Button type="submit" weight={danger ? "danger" : "primary"} busy={busy} disabled={done || reason.trim() === ""}>
          {action}
        </Button>
      </div>
    </form>
  );
}

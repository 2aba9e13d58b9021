// An admin key goes in, for a new source or in the place of another key. It is never shown again.
import { type FormEvent, useId, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError, fieldProblem } from "@/api/problem";
import { invoiceSourcesQuery } from "@/api/queries";
import type { InvoiceSource } from "@/api/types";
import { KEY_PREFIXES, VENDOR_NAMES } from "@/lib/invoice-words";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { Problem } from "@/ui/states";

type Vendor = InvoiceSource["vendor"];
type Opening = { open: boolean; onOpenChange: (open: boolean) => void };

const VENDORS = Object.keys(VENDOR_NAMES) as Vendor[];

const again = () => void queryClient.invalidateQueries({ queryKey: invoiceSourcesQuery().queryKey });

export function ConnectDialog({ open, onOpenChange }: Opening) {
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title="Connect a vendor"
      description="Its cost report is read once a day. The key is sealed and never shown again."
    >
      <ConnectForm onDone={() => onOpenChange(false)} />
    </Dialog>
  );
}

function ConnectForm({ onDone }: { onDone: () => void }) {
  const group = useId();
  const [vendor, setVendor] = useState<Vendor>("anthropic");
  const [name, setName] = useState("");
  const [key, setKey] = useState("");
  const create = api.useMutation("post", "/api/v1/invoice-sources", {
    onSuccess: () => {
      again();
      onDone();
    },
  });
  const problem = create.error ? asApiError(create.error) : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate({ body: { vendor, name: name.trim(), admin_key: key.trim() } });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4" autoComplete="off">
      <fieldset className="flex gap-4">
        <legend className="mb-1 text-sm font-medium">Vendor</legend>
        {VENDORS.map((one) => (
          <label key={one} className="flex items-center gap-2 text-sm">
            <input type="radio" className="size-4 accent-accent" name={group} checked={vendor === one} onChange={() => setVendor(one)} />
            {VENDOR_NAMES[one]}
          </label>
        ))}
      </fieldset>
      <TextField
        label="Name"
        help="What you call the organisation."
        required
        maxLength={100}
        value={name}
        onChange={(event) => setName(event.target.value)}
        problem={fieldProblem(problem, "name")}
      />
      <KeyField vendor={vendor} value={key} onChange={setKey} problem={fieldProblem(problem, "admin_key")} />
      {problem && problem.fields.length === 0 ? <Problem error={problem} /> : null}
      <div className="flex justify-end">
        <Button type="submit" weight="primary" busy={create.isPending}>
          Connect
        </Button>
      </div>
    </form>
  );
}

export function KeyDialog({ source, open, onOpenChange }: { source: InvoiceSource } & Opening) {
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title={`Replace the key of ${source.name}`}
      description="By another admin key of the same organisation. The one before it is forgotten here."
    >
      <KeyForm source={source} onDone={() => onOpenChange(false)} />
    </Dialog>
  );
}

function KeyForm({ source, onDone }: { source: InvoiceSource; onDone: () => void }) {
  const [key, setKey] = useState("");
  const replace = api.useMutation("put", "/api/v1/invoice-sources/{id}/key", {
    onSuccess: () => {
      again();
      onDone();
    },
  });
  const problem = replace.error ? asApiError(replace.error) : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    replace.mutate({ params: { path: { id: source.id } }, body: { admin_key: key.trim() } });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4" autoComplete="off">
      <KeyField vendor={source.vendor} value={key} onChange={setKey} problem={fieldProblem(problem, "admin_key")} />
      {problem && problem.fields.length === 0 ? <Problem error={problem} /> : null}
      <div className="flex justify-end">
        <Button type="submit" weight="primary" busy={replace.isPending}>
          Replace
        </Button>
      </div>
    </form>
  );
}

function KeyField({
  vendor,
  value,
  onChange,
  problem,
}: {
  vendor: Vendor;
  value: string;
  onChange: (value: string) => void;
  problem: ReturnType<typeof fieldProblem>;
}) {
  return (
    <TextField
      label="Admin key"
      help={`Begins with ${KEY_PREFIXES[vendor]}. A key that makes calls opens no reports.`}
      type="password"
      required
      value={value}
      onChange={(event) => onChange(event.target.value)}
      problem={problem}
    />
  );
}

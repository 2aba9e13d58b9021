// Connects an AWS account: says where the report lies; what makes the role stands on the account then.
import { type FormEvent, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError, fieldProblem } from "@/api/problem";
import { awsConnectionsQuery } from "@/api/queries";
import type { AwsConnection } from "@/api/types";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { Problem } from "@/ui/states";
import { Setup } from "./setup";

export function ConnectDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  const [made, setMade] = useState<AwsConnection | null>(null);
  const close = (next: boolean) => {
    if (!next) setMade(null);
    onOpenChange(next);
  };
  return (
    <Dialog
      open={open}
      onOpenChange={close}
      wide
      title={made ? "Make the role" : "Connect an AWS account"}
      description={
        made
          ? "Then you are done: the role is looked for every few seconds, and the page says when it is there."
          : "Where does AWS write the cost report? Nothing is read before you make the role."
      }
    >
      {made ? (
        <>
          <Setup account={made} />
          <div className="mt-4 flex justify-end">
            <Button weight="primary" onClick={() => close(false)}>
              Done
            </Button>
          </div>
        </>
      ) : (
        <ConnectForm onMade={setMade} />
      )}
    </Dialog>
  );
}

const FIELDS = [
  { name: "account_id", label: "AWS account", help: "Twelve digits: the account that owns the bucket.", pattern: "[0-9]{12}", required: true },
  { name: "bucket", label: "Bucket", help: "The bucket that AWS writes the report to.", pattern: "[a-z0-9.\\-]{3,63}", required: true },
  { name: "prefix", label: "Folder", help: "The folder in the bucket below which the report lies.", pattern: String.raw`.*[^\/].*`, required: true },
  { name: "report_name", label: "Report", help: "The name of the report or export.", pattern: undefined, required: true },
  { name: "kms_key_arn", label: "Key (if the files are encrypted with one)", help: "The ARN of the key in AWS KMS.", pattern: undefined, required: false },
] as const;

function ConnectForm({ onMade }: { onMade: (made: AwsConnection) => void }) {
  const [values, setValues] = useState<Record<(typeof FIELDS)[number]["name"], string>>({
    account_id: "",
    bucket: "",
    prefix: "",
    report_name: "costlens",
    kms_key_arn: "",
  });
  const create = api.useMutation("post", "/api/v1/aws-connections", {
    onSuccess: (made) => {
      void queryClient.invalidateQueries({ queryKey: awsConnectionsQuery().queryKey });
      onMade(made);
    },
  });
  const problem = create.error ? asApiError(create.error) : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const { kms_key_arn: key, ...rest } = values;
    create.mutate({ body: { ...rest, ...(key.trim() ? { kms_key_arn: key.trim() } : {}) } });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4" autoComplete="off">
      {FIELDS.map(({ name, label, help, pattern, required }) => (
        <TextField
          key={name}
          label={label}
          help={help}
          pattern={pattern}
          required={required}
          value={values[name]}
          onChange={(event) => setValues((before) => ({ ...before, [name]: event.target.value }))}
          problem={fieldProblem(problem, name)}
        />
      ))}
      {problem && problem.fields.length === 0 ? <Problem error={problem} /> : null}
      <div className="flex justify-end">
        <Button type="submit" weight="primary" busy={create.isPending}>
          Continue
        </Button>
      </div>
    </form>
  );
}

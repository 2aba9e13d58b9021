// Asks for the account's name before its end is asked for.
import { type FormEvent, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError, fieldProblem } from "@/api/problem";
import { closureQuery, sessionQuery } from "@/api/queries";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { Problem } from "@/ui/states";

export function CloseDialog({ open, onOpenChange, tenant }: { open: boolean; onOpenChange: (open: boolean) => void; tenant: string }) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title={`Close “${tenant}”?`} description="It is frozen at once. For 7 days you can change your mind; then everything is erased.">
      <CloseForm tenant={tenant} onCancel={() => onOpenChange(false)} />
    </Dialog>
  );
}

function CloseForm({ tenant, onCancel }: { tenant: string; onCancel: () => void }) {
  const [name, setName] = useState("");
  const request = api.useMutation("post", "/api/v1/account/closure", {
    onSuccess: async (closure) => {
      queryClient.setQueryData(closureQuery().queryKey, { closure });
      await queryClient.invalidateQueries({ queryKey: sessionQuery().queryKey });
    },
  });
  const problem = request.error ? asApiError(request.error) : null;
  const nameProblem = fieldProblem(problem, "confirm");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    request.mutate({ body: { confirm: name } });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <TextField
        label="The account's name"
        value={name}
        onChange={(event) => setName(event.target.value)}
        help={`Type ${tenant} to go on.`}
        problem={nameProblem}
        required
        autoComplete="off"
        spellCheck={false}
        // oxlint-disable-next-line jsx-a11y/no-autofocus -- the dialog was opened to type this name
        autoFocus
      />
      {problem && !nameProblem ? <Problem error={problem} /> : null}
      <div className="flex justify-end gap-2">
        <Button onClick={onCancel}>Cancel</Button>
        <Button type="submit" weight="danger" busy={request.isPending} disabled={name !== tenant}>
          Close the account
        </Button>
      </div>
    </form>
  );
}

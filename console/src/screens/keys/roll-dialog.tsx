// Gives a key a new secret, shown a single time, while the one from before goes on working for as long as was chosen.
import { useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { keysQuery } from "@/api/queries";
import type { CreatedKey, Key } from "@/api/types";
import { Button } from "@/ui/button";
import { Choose } from "@/ui/choose";
import { Dialog } from "@/ui/dialog";
import { Labelled } from "@/ui/field";
import { Problem } from "@/ui/states";
import { SecretView } from "./secret-view";

const OVERLAPS = [
  { value: "86400", label: "For a day" },
  { value: "604800", label: "For a week" },
  { value: "3600", label: "For an hour" },
  { value: "0", label: "Not at all", note: "Programs that still have it are refused at once." },
];

export function RollDialog({ rolling, onClose }: { rolling: Key | null; onClose: () => void }) {
  const [rolled, setRolled] = useState<CreatedKey | null>(null);
  const [stored, setStored] = useState(false);
  const close = () => {
    onClose();
    setRolled(null);
    setStored(false);
  };
  const name = rolled?.key.name ?? rolling?.name ?? "";
  return (
    <Dialog
      open={rolling !== null}
      onOpenChange={(open) => (open ? undefined : close())}
      held={rolled !== null && !stored}
      wide={rolled !== null}
      title={rolled ? `New secret of “${name}”` : `Roll “${name}”`}
      description={
        stored ? "The secret is gone from this page." : rolled ? "This secret is shown once. Only its hash is kept; nobody can show it again." : "The key gets a new secret and keeps its name, its scopes and its history."
      }
    >
      {rolled ? <SecretView created={rolled} stored={stored} onStored={() => setStored(true)} onDone={close} /> : rolling ? <RollForm rolling={rolling} onRolled={setRolled} /> : null}
    </Dialog>
  );
}

function RollForm({ rolling, onRolled }: { rolling: Key; onRolled: (rolled: CreatedKey) => void }) {
  const [overlap, setOverlap] = useState("86400");
  const roll = api.useMutation("post", "/api/v1/keys/{id}/roll", {
    onSuccess: (rolled) => {
      void queryClient.invalidateQueries({ queryKey: keysQuery().queryKey });
      onRolled(rolled);
    },
  });
  return (
    <form
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        roll.mutate({ params: { path: { id: rolling.id } }, body: { overlap_seconds: Number(overlap) } });
      }}
    >
      <Labelled label="The secret of now goes on working" help="Move your programs to the new secret in that time.">
        <Choose wide label="The secret of now goes on working" value={overlap} options={OVERLAPS} onChange={setOverlap} />
      </Labelled>
      {roll.error ? <Problem error={roll.error} /> : null}
      <div className="flex justify-end">
        <Button type="submit" weight="primary" busy={roll.isPending}>
          Roll the key
        </Button>
      </div>
    </form>
  );
}

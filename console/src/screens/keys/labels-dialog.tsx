// Whose a key is: its team, its user and any other tags, by which its calls are charged.
import { type FormEvent, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError } from "@/api/problem";
import { keyLabelsQuery } from "@/api/queries";
import type { Key, KeyLabel } from "@/api/types";
import { labelsOf, tagsInText } from "@/lib/labels";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { Problem } from "@/ui/states";

interface LabelsDialogProps {
  labelling: Key | null;
  labels: KeyLabel[];
  onClose: () => void;
}

export function LabelsDialog({ labelling, labels, onClose }: LabelsDialogProps) {
  return (
    <Dialog open={labelling !== null} onOpenChange={(open) => (open ? undefined : onClose())} title={`Labels of “${labelling?.name ?? ""}”`} description="Chargeback and statements say whose its calls were, earlier months included.">
      {labelling ? <LabelsForm key={labelling.id} item={labelling} labels={labels.filter(({ api_key_id }) => api_key_id === labelling.id)} onDone={onClose} /> : null}
    </Dialog>
  );
}

function LabelsForm({ item, labels, onDone }: { item: Key; labels: KeyLabel[]; onDone: () => void }) {
  const valueOf = (name: string) => labels.find((label) => label.name === name)?.value ?? "";
  const [team, setTeam] = useState(valueOf("team"));
  const [user, setUser] = useState(valueOf("user"));
  const [tags, setTags] = useState(tagsInText(labels));
  const set = api.useMutation("put", "/api/v1/keys/{id}/labels", {
    onSuccess: () => {
      void queryClient.invalidateQueries({ queryKey: keyLabelsQuery().queryKey });
      onDone();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    set.mutate({ params: { path: { id: item.id } }, body: { labels: labelsOf(team, user, tags) } });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <TextField label="Team" value={team} onChange={(event) => setTeam(event.target.value)} placeholder="Search" maxLength={200} autoComplete="off" />
      <TextField label="User" value={user} onChange={(event) => setUser(event.target.value)} placeholder="ann@example.com" maxLength={200} autoComplete="off" />
      <TextField label="Tags" value={tags} onChange={(event) => setTags(event.target.value)} placeholder="cost-centre=4711, stage=production" help="Name and value, with commas between." autoComplete="off" />
      {set.error ? <Problem error={asApiError(set.error)} /> : null}
      <div className="flex justify-end">
        <Button type="submit" weight="primary" busy={set.isPending}>
          Save the labels
        </Button>
      </div>
    </form>
  );
}

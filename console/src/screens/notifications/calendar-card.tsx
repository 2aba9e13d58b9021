// The account's calendar: where its days begin, and when the digest comes.
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError, fieldProblem } from "@/api/problem";
import { settingsQuery } from "@/api/queries";
import type { Settings, Weekday } from "@/api/types";
import { readable } from "@/lib/notice-words";
import { momentWithZone } from "@/lib/time";
import { timeZones } from "@/lib/zones";
import { Button } from "@/ui/button";
import { Card, CardHead } from "@/ui/card";
import { Choose } from "@/ui/choose";
import { Labelled, TextField } from "@/ui/field";
import { Problem, SkeletonRows } from "@/ui/states";

const DAYS: readonly Weekday[] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const HOURS = Array.from({ length: 24 }, (_, hour) => ({ value: String(hour), label: `${String(hour).padStart(2, "0")}:00` }));

export function CalendarCard() {
  const settings = useQuery(settingsQuery());
  return (
    <Card>
      <CardHead title="Calendar" note="When the digest comes, and where days, weeks and months of budgets begin" />
      {settings.isPending ? <SkeletonRows rows={2} label="Loading the calendar" /> : null}
      {settings.isError ? <Problem error={settings.error} retry={() => void settings.refetch()} /> : null}
      {settings.data ? <CalendarForm key={JSON.stringify(settings.data)} settings={settings.data} /> : null}
    </Card>
  );
}

function CalendarForm({ settings }: { settings: Settings }) {
  const [zone, setZone] = useState(settings.time_zone);
  const [day, setDay] = useState<Weekday>(settings.digest_weekday);
  const [hour, setHour] = useState(String(settings.digest_hour));
  const save = api.useMutation("patch", "/api/v1/settings", {
    onSuccess: (saved) => queryClient.setQueryData(settingsQuery().queryKey, saved),
  });
  const problem = save.error ? asApiError(save.error) : null;
  const zoneProblem = fieldProblem(problem, "time_zone");
  const isChanged = zone !== settings.time_zone || day !== settings.digest_weekday || hour !== String(settings.digest_hour);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate({ body: { time_zone: zone.trim(), digest_weekday: day, digest_hour: Number(hour) } });
  };
  return (
    <form onSubmit={submit} className="px-4 pb-4">
      <div className="grid gap-4 sm:grid-cols-[minmax(0,2fr)_minmax(0,1fr)_minmax(0,1fr)]">
        <TextField
          label="Time zone"
          value={zone}
          onChange={(event) => setZone(event.target.value)}
          list="time-zones"
          problem={zoneProblem}
          help="A name of the IANA database, such as Europe/Berlin."
          required
          maxLength={64}
          autoComplete="off"
          spellCheck={false}
        />
        <datalist id="time-zones">
          {timeZones(settings.time_zone).map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </datalist>
        <Labelled label="Digest on">
          <Choose wide label="Digest on" value={day} options={DAYS.map((value) => ({ value, label: readable(value) }))} onChange={setDay} />
        </Labelled>
        <Labelled label="At">
          <Choose wide label="At" value={hour} options={HOURS} onChange={setHour} />
        </Labelled>
      </div>
      {problem && !zoneProblem ? <Problem error={problem} /> : null}
      <div className="mt-3 flex flex-wrap items-center gap-3">
        <p className="text-sm text-muted">
          Next digest {momentWithZone(settings.next_digest_at, settings.time_zone)}
        </p>
        <Button type="submit" weight="primary" className="ml-auto" busy={save.isPending} disabled={!isChanged}>
          Save
        </Button>
      </div>
    </form>
  );
}

// What stands in place of every screen while the account is being closed: until when it can be kept, and the way back.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { closureQuery, sessionQuery } from "@/api/queries";
import { momentWithZone, until } from "@/lib/time";
import { useNow, useTitle } from "@/shell/hooks";
import { usePreferences } from "@/shell/preferences";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { CopyButton } from "@/ui/copy";
import { Note } from "@/ui/note";
import { Problem, Skeleton } from "@/ui/states";

export function ClosingScreen({ tenant }: { tenant: string }) {
  useTitle("The account is being closed");
  const { zone } = usePreferences();
  const now = useNow(10_000);
  const closure = useQuery(closureQuery());
  const keep = api.useMutation("delete", "/api/v1/account/closure", {
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: sessionQuery().queryKey });
      await queryClient.invalidateQueries();
    },
  });
  const { closure: found } = closure.data ?? {};
  const isKeepable = found?.state === "grace" && Date.parse(found.erase_at) > now;
  return (
    <Card className="mx-auto mt-[8vh] max-w-xl p-5">
      <h1 className="text-xl font-semibold tracking-tight">{tenant} is being closed</h1>
      {closure.isPending ? <Skeleton className="mt-4 h-32" /> : null}
      {closure.isError ? <Problem error={closure.error} retry={() => void closure.refetch()} /> : null}
      {closure.data && !found ? <p className="mt-2 text-muted">It was kept meanwhile. Load the page again.</p> : null}
      {found ? (
        <>
          <p className="mt-2 text-muted">
            {isKeepable
              ? "Everything is frozen: keys are refused, workflows rest, nobody is told anything. Nothing has been erased yet."
              : "The days of grace are over, and everything is being erased. The account cannot be kept any more."}
          </p>
          {isKeepable ? (
            <Note tone="caution" className="mt-4" title={`Erasing begins ${until(found.erase_at, now, zone)}`}>
              {momentWithZone(found.erase_at, zone)}. Until then you can keep the account; everything works again at once.
            </Note>
          ) : null}
          <dl className="mt-4 grid gap-x-4 gap-y-1.5 text-sm sm:grid-cols-[9rem_minmax(0,1fr)]">
            <dt className="text-muted">Asked for</dt>
            <dd className="num">{momentWithZone(found.requested_at, zone)}</dd>
            <dt className="text-muted">Nothing is left by</dt>
            <dd className="num">{momentWithZone(found.deadline_at, zone)}</dd>
            <dt className="text-muted">Certificate</dt>
            <dd>
              <Link to="/certificates/$erasureId" params={{ erasureId: found.erasure_id }} className="break-all rounded font-mono text-xs text-accent-ink underline">
                {found.erasure_id}
              </Link>
              <CopyButton text={`${window.location.origin}/certificates/${found.erasure_id}`} label="Copy the certificate's address" />
              <span className="block text-xs text-muted">Keep this address: it is the only way to the certificate once the account is gone.</span>
            </dd>
          </dl>
          {keep.error ? <Problem error={keep.error} /> : null}
          {isKeepable ? (
            <Button weight="primary" className="mt-5" busy={keep.isPending} onClick={() => keep.mutate({})}>
              Keep the account
            </Button>
          ) : null}
        </>
      ) : null}
    </Card>
  );
}

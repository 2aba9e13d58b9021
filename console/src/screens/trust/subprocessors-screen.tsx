// Whom this deployment is set up to call, from its live configuration.
import type { Trust } from "@/api/types";
import { Card, CardHead } from "@/ui/card";
import { PublicFrame } from "./frame";

function List({ title, note, none, list }: { title: string; note: string; none: string; list: Trust["subprocessors"] }) {
  return (
    <Card>
      <CardHead title={title} note={note} />
      {list.length === 0 ? (
        <p className="px-4 pb-4 text-muted">{none}</p>
      ) : (
        <ul className="divide-y">
          {list.map((each) => (
            <li key={each.name + (each.host ?? "")} className="grid gap-x-4 gap-y-1 px-4 py-3 sm:grid-cols-[14rem_1fr]">
              <div className="min-w-0">
                <h3 className="font-medium">{each.name}</h3>
                <p className="break-words font-mono text-xs text-muted">{each.host ?? "the hosts that you register"}</p>
              </div>
              <div>
                <p>{each.purpose}</p>
                <p className="text-muted">{each.data}</p>
              </div>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

export function SubprocessorsScreen() {
  return (
    <PublicFrame title="Subprocessors" note="Whom this deployment is set up to call, and with which data. The list is made of its configuration, so nobody can forget a line.">
      {({ subprocessors }) => (
        <>
          <List
            title="Set up by the operator"
            note="called without your doing"
            none="Nobody. This deployment sends your data to no service of anybody else's."
            list={subprocessors.filter((each) => !each.your_choice)}
          />
          <List
            title="At your choice"
            note="get nothing unless you ask for it"
            none="Nobody."
            list={subprocessors.filter((each) => each.your_choice)}
          />
        </>
      )}
    </PublicFrame>
  );
}

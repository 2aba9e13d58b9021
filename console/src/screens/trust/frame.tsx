// The frame of what anybody may read: what is promised, whom data goes to, what is kept. No session.
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { api } from "@/api/client";
import type { Trust } from "@/api/types";
import { Mark } from "@/shell/logo";
import { useTitle } from "@/shell/hooks";
import { Problem, SkeletonRows } from "@/ui/states";

const PAGES = [
  { to: "/trust", label: "Trust" },
  { to: "/subprocessors", label: "Subprocessors" },
  { to: "/privacy", label: "Privacy" },
] as const;

export function PublicFrame({ title, note, children }: { title: string; note: ReactNode; children: (trust: Trust) => ReactNode }) {
  useTitle(title);
  const { data, error, refetch } = api.useQuery("get", "/api/v1/trust", {}, { staleTime: 60_000 });
  return (
    <div className="mx-auto max-w-4xl px-4 py-8">
      <header className="mb-8 flex flex-wrap items-center gap-x-6 gap-y-3">
        <Link to="/" className="inline-flex items-center gap-3 rounded-lg" aria-label="Costlens">
          <Mark className="size-8" />
          <span className="text-lg font-semibold tracking-tight">Costlens</span>
        </Link>
        <nav aria-label="What anybody may read" className="flex flex-wrap gap-1">
          {PAGES.map((page) => (
            <Link
              key={page.to}
              to={page.to}
              className="rounded-lg px-2.5 py-1.5 text-sm text-muted hover:bg-sunken"
              activeProps={{ className: "font-medium bg-sunken text-ink", "aria-current": "page" }}
            >
              {page.label}
            </Link>
          ))}
        </nav>
      </header>
      <main>
        <h1 className="text-xl font-semibold tracking-tight">{title}</h1>
        <div className="mb-6 mt-1 max-w-prose text-muted">{note}</div>
        {data ? (
          <div className="flex flex-col gap-6">
            {children(data)}
            <footer className="max-w-prose text-sm text-muted">
              <p>
                Costlens {data.version}. A promise was last changed on <time dateTime={data.last_change}>{data.last_change}</time>.
              </p>
              <p className="mt-1">
                Is something on this page not so? Write to{" "}
                <a className="underline" href={`mailto:${data.reporting.contact}?subject=What%20your%20trust%20page%20says`}>
                  {data.reporting.contact}
                </a>
                . You hear from us within {data.reporting.acknowledged_within_hours} hours.
              </p>
            </footer>
          </div>
        ) : error ? (
          <Problem error={error} retry={() => void refetch()} />
        ) : (
          <SkeletonRows label="Reading what is promised" />
        )}
      </main>
    </div>
  );
}

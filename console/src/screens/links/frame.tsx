// The frame of pages that need no session: what a link in a mail leads to.
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Mark } from "@/shell/logo";
import { useTitle } from "@/shell/hooks";

export function LinkFrame({ title, wide, children }: { title: string; wide?: boolean; children: ReactNode }) {
  useTitle(title);
  return (
    <main className="grid min-h-dvh place-items-center px-4 py-8">
      <div className={wide ? "w-full max-w-2xl" : "w-full max-w-md"}>
        <Link to="/" className="mb-6 inline-flex items-center gap-3 rounded-lg" aria-label="Costlens">
          <Mark className="size-9" />
          <span className="text-lg font-semibold tracking-tight">Costlens</span>
        </Link>
        <div className="rounded-card border bg-surface p-5 shadow-pop">
          <h1 className="text-lg font-semibold leading-6">{title}</h1>
          {children}
        </div>
      </div>
    </main>
  );
}

// What follows from being let in: what was cached of somebody else is forgotten, and the next place shown.
import { useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import { queryClient } from "@/api/cache";
import { rememberContinues } from "@/api/continues";
import { sessionQuery } from "@/api/queries";
import type { Session } from "@/api/types";

export function useEntered(): (session: Session, next?: string) => Promise<void> {
  const navigate = useNavigate();
  return useCallback(
    async (session, next) => {
      rememberContinues(session.continues_until ?? null, session.expires_at);
      queryClient.clear();
      queryClient.setQueryData(sessionQuery().queryKey, session);
      await navigate({ to: next ?? "/", replace: true });
    },
    [navigate],
  );
}

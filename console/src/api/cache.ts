// The cache of what the API said. Nobody is asked twice for the same thing, a person's mistake is never retried,
// and the end of a session is noticed wherever it shows first.
import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { asApiError, isClosing, isSignedOut } from "./problem";

let onSignedOut: () => void = () => undefined;

/** What happens when any call finds that the session has ended. */
export function whenSignedOut(act: () => void): void {
  onSignedOut = act;
}

let onClosing: () => void = () => undefined;

/** What happens when any call finds that the account is being closed. */
export function whenClosing(act: () => void): void {
  onClosing = act;
}

function notice(error: unknown): void {
  if (isClosing(error)) onClosing();
  if (isSignedOut(error)) onSignedOut();
}

export const queryClient = new QueryClient({
  queryCache: new QueryCache({ onError: notice }),
  mutationCache: new MutationCache({ onError: notice }),
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      refetchOnWindowFocus: true,
      retry: (failures, error) => {
        const { status } = asApiError(error);
        return failures < 2 && (status === 0 || status >= 500);
      },
    },
  },
});

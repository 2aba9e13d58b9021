// Where somebody who was told by mail keeps an account that is being closed.
import { Link } from "@tanstack/react-router";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { ApiError } from "@/api/problem";
import { Note } from "@/ui/note";
import { LinkFrame } from "./frame";
import { LinkAction } from "./link-action";
import { NOWHERE, useLinkToken } from "./token";

export function KeepAccountScreen() {
  const token = useLinkToken();
  const keep = api.useMutation("post", "/api/v1/account/keep", { onSuccess: () => queryClient.clear() });
  const isTooLate = keep.error instanceof ApiError && (keep.error as ApiError).status === 409;
  return (
    <LinkFrame title="Keep the account">
      {isTooLate ? (
        <Note tone="worse" title="It is too late" className="mt-4">
          The days of grace are over and the account is being erased. It cannot be kept any more.
        </Note>
      ) : (
        <LinkAction
          token={token}
          action="Keep the account"
          nowhere={NOWHERE.keep}
          busy={keep.isPending}
          error={keep.error}
          onAct={(sent) => keep.mutate({ body: { token: sent } })}
          done={
            keep.isSuccess ? (
              <p>
                The account is open, and nothing of it is erased. Keys and workflows work again.{" "}
                <Link to="/" className="font-medium text-accent-ink underline">
                  Go to the console
                </Link>
              </p>
            ) : null
          }
        >
          Somebody asked to close this account and to erase everything in it. Until the days of grace are over, you can
          keep it; everything that was frozen works again at once.
        </LinkAction>
      )}
    </LinkFrame>
  );
}

// Where an address asks for nothing more.
import { api } from "@/api/client";
import { LinkFrame } from "./frame";
import { LinkAction } from "./link-action";
import { NOWHERE, useLinkToken } from "./token";

export function UnsubscribeScreen() {
  const token = useLinkToken();
  const unsubscribe = api.useMutation("post", "/api/v1/unsubscribe");
  return (
    <LinkFrame title="No more mail">
      <LinkAction
        token={token}
        action="Unsubscribe"
        nowhere={NOWHERE.unsubscribe}
        busy={unsubscribe.isPending}
        error={unsubscribe.error}
        onAct={(sent) => unsubscribe.mutate({ body: { token: sent } })}
        done={unsubscribe.isSuccess ? <p>Nothing more goes to this address. A mail that was on its way may still arrive.</p> : null}
      >
        The weekly digest and all alerts to this address end at once.
      </LinkAction>
    </LinkFrame>
  );
}

// Where an address agrees to be told.
import { api } from "@/api/client";
import { wishesInWords } from "@/lib/notice-words";
import { LinkFrame } from "./frame";
import { LinkAction } from "./link-action";
import { NOWHERE, useLinkToken } from "./token";

export function ConfirmScreen() {
  const token = useLinkToken();
  const confirm = api.useMutation("post", "/api/v1/recipients/confirm");
  return (
    <LinkFrame title="Be told by mail">
      <LinkAction
        token={token}
        action="Yes, tell me"
        nowhere={NOWHERE.confirm}
        busy={confirm.isPending}
        error={confirm.error}
        onAct={(sent) => confirm.mutate({ body: { token: sent } })}
        done={
          confirm.data ? (
            <p>
              From now on <strong className="font-semibold">{confirm.data.tenant_name}</strong> sends you {wishesInWords(confirm.data)}. Each mail has a
              link to end that.
            </p>
          ) : null
        }
      >
        Somebody added this address to a Costlens account, to be told what its AI costs. Nothing is sent unless you agree;
        if you do not, close this page.
      </LinkAction>
    </LinkFrame>
  );
}

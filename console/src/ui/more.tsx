// The foot of a list that is read page by page: how many are in sight, and the way to older ones.
import { Button } from "./button";
import { Problem } from "./states";

export interface MoreProps {
  shown: number;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  isFetchNextPageError: boolean;
  error: unknown;
  fetchNextPage: () => unknown;
}

export function More({ shown, hasNextPage, isFetchingNextPage, isFetchNextPageError, error, fetchNextPage }: MoreProps) {
  if (shown === 0) return null;
  return (
    <>
      {isFetchNextPageError ? <Problem error={error} retry={() => void fetchNextPage()} what="Older ones" /> : null}
      <div className="flex min-h-12 items-center gap-3 border-t px-4 py-2 text-sm text-muted">
        <span className="num">
          {shown.toLocaleString("en-US")} shown{hasNextPage ? "" : ", all there are"}
        </span>
        {hasNextPage ? (
          <Button size="small" className="ml-auto" busy={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            Load older
          </Button>
        ) : null}
      </div>
    </>
  );
}

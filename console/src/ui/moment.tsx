// A moment as people read it: relative, with the full time and its zone on hover.
import { ago, fullTime, until } from "@/lib/time";
import { useNow } from "@/shell/hooks";
import { usePreferences } from "@/shell/preferences";

export function Moment({ at, ahead }: { at: string; ahead?: boolean }) {
  const { zone } = usePreferences();
  const now = useNow(10_000);
  return (
    <time dateTime={at} title={`${fullTime(at, zone)} ${zone}`} className="num whitespace-nowrap">
      {ahead ? until(at, now, zone) : ago(at, now, zone)}
    </time>
  );
}

// A Slack message drawn from its blocks, near enough to what Slack shows. Its links are not followed from here.
import { readSlackBlocks, readSlackText, type TextPart } from "@/lib/slack-text";
import { Mark } from "@/shell/logo";

/** Blocks and their parts have no names of their own; their places never change. */
function placed<T>(items: readonly T[]): { key: string; item: T }[] {
  return items.map((item, at) => ({ key: String(at), item }));
}

export function SlackMessage({ message }: { message: unknown }) {
  const blocks = placed(readSlackBlocks(message));
  return (
    <div className="flex max-w-2xl gap-3 rounded-lg border p-4">
      <Mark className="size-9 shrink-0" />
      <div className="min-w-0 flex-1">
        <p className="font-semibold">
          Costlens <span className="ml-1 rounded bg-sunken px-1 py-px text-[0.6875rem] font-medium text-muted">APP</span>
        </p>
        <div className="mt-1 flex flex-col gap-2.5">
          {blocks.map(({ key, item: { kind, texts } }) =>
            kind === "header" ? (
              <p key={key} className="text-base font-semibold">
                {texts.join(" ")}
              </p>
            ) : (
              <div key={key} className={kind === "context" ? "text-xs text-muted" : texts.length > 1 ? "grid grid-cols-2 gap-x-4 gap-y-2 sm:grid-cols-3" : undefined}>
                {placed(texts).map((text) => (
                  <p key={text.key} className="whitespace-pre-wrap break-words">
                    {placed(readSlackText(text.item)).map((part) => (
                      <Part key={part.key} part={part.item} />
                    ))}
                  </p>
                ))}
              </div>
            ),
          )}
        </div>
      </div>
    </div>
  );
}

function Part({ part }: { part: TextPart }) {
  switch (part.kind) {
    case "bold":
      return <strong className="font-semibold">{part.text}</strong>;
    case "code":
      // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a region that scrolls must be reachable by keyboard
      return <code tabIndex={0} className="block overflow-x-auto whitespace-pre rounded border bg-sunken p-2 font-mono text-xs">{part.text}</code>;
    case "link":
      return (
        <span className="text-accent-ink underline" title={part.to}>
          {part.text}
        </span>
      );
    default:
      return part.text;
  }
}

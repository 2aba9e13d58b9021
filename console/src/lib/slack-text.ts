// Slack's mrkdwn as parts that a page can draw. Only what the product writes is known: bold, code, links, lines; all
// else stays the text that it is.

export interface TextPart {
  kind: "text" | "bold" | "code" | "link";
  text: string;
  /** Where a link leads. */
  to?: string;
}

/** Slack escapes these three and nothing else. */
function unescaped(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

const PIECE = /```([\s\S]+?)```|`([^`\n]+)`|<(https?:\/\/[^|>\s]+)\|([^>]+)>|\*([^*\n]+)\*/g;

export function readSlackText(text: string): TextPart[] {
  const parts: TextPart[] = [];
  let from = 0;
  const plain = (until: number) => {
    if (until > from) parts.push({ kind: "text", text: unescaped(text.slice(from, until)) });
  };
  for (const match of text.matchAll(PIECE)) {
    plain(match.index);
    const [whole, block, code, to, label, bold] = match;
    if (to !== undefined && label !== undefined) parts.push({ kind: "link", text: unescaped(label), to: unescaped(to) });
    else if (bold !== undefined) parts.push({ kind: "bold", text: unescaped(bold) });
    else parts.push({ kind: "code", text: unescaped(block ?? code ?? "") });
    from = match.index + whole.length;
  }
  plain(text.length);
  return parts;
}

export interface SlackBlock {
  kind: "header" | "section" | "context";
  texts: string[];
}

function textOf(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  const { text } = value as { text?: unknown };
  return typeof text === "string" ? [text] : [];
}

function listOf(value: unknown): string[] {
  return Array.isArray(value) ? value.flatMap(textOf) : [];
}

/** The blocks of a message in Block Kit; blocks of other kinds are left out. */
export function readSlackBlocks(message: unknown): SlackBlock[] {
  if (typeof message !== "object" || message === null) return [];
  const { blocks } = message as { blocks?: unknown };
  if (!Array.isArray(blocks)) return [];
  return blocks.flatMap((block: unknown): SlackBlock[] => {
    if (typeof block !== "object" || block === null) return [];
    const { type, text, fields, elements } = block as Record<string, unknown>;
    if (type === "header") return [{ kind: "header", texts: textOf(text) }];
    if (type === "section") return [{ kind: "section", texts: [...textOf(text), ...listOf(fields)] }];
    if (type === "context") return [{ kind: "context", texts: listOf(elements) }];
    return [];
  });
}

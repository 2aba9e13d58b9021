// Plain words with code in backquotes, as the trust document is written: cut into pieces, to be shown without a parser.

export interface Piece {
  text: string;
  code: boolean;
  /** Which of the text's pieces it is. */
  at: number;
}

/** The pieces of a text; a backquote that is never closed is a backquote. */
export function pieces(text: string): Piece[] {
  const parts = text.split("`");
  const closed = parts.length % 2 === 1;
  const found = parts.map((part, index) => ({ text: part, code: index % 2 === 1, at: index }));
  if (!closed) {
    const last = found.pop();
    const before = found.at(-1);
    if (last && before) before.text += "`" + last.text;
  }
  return found.filter((piece) => piece.text !== "");
}

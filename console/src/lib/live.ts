// The live list: a head that is polled and pages of the past that are fetched once. Rows are joined by id, newest
// first; a row that comes again replaces itself, and a burst larger than a page never leaves a silent gap.

export interface Row {
  id: string;
  started_at: string;
}

export interface LiveList<T extends Row> {
  rows: T[];
  /** Where older rows continue; `null` at the end, `undefined` before the first page. */
  older: string | null | undefined;
  /** Ids that arrived by polling, to be marked for a moment. */
  fresh: ReadonlySet<string>;
}

export interface Page<T extends Row> {
  items: T[];
  next_cursor?: string | null;
}

export function emptyList<T extends Row>(): LiveList<T> {
  return { rows: [], older: undefined, fresh: new Set() };
}

function newestFirst(a: Row, b: Row): number {
  if (a.started_at !== b.started_at) return a.started_at < b.started_at ? 1 : -1;
  return a.id < b.id ? 1 : a.id > b.id ? -1 : 0;
}

function join<T extends Row>(rows: T[], more: T[]): T[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  for (const row of more) byId.set(row.id, row);
  return [...byId.values()].toSorted(newestFirst);
}

/** The list after its head was polled. */
export function withHead<T extends Row>(list: LiveList<T>, head: Page<T>): LiveList<T> {
  const older = head.next_cursor ?? null;
  if (list.older === undefined) return { rows: join([], head.items), older, fresh: new Set() };
  const known = new Set(list.rows.map((row) => row.id));
  const meets = list.rows.length === 0 || older === null || head.items.some((row) => known.has(row.id));
  // More arrived than a page holds: start again at the head and let older rows be fetched from there.
  if (!meets) return { rows: join([], head.items), older, fresh: new Set(head.items.map((row) => row.id)) };
  const fresh = new Set(head.items.filter((row) => !known.has(row.id)).map((row) => row.id));
  return { rows: join(list.rows, head.items), older: list.rows.length === 0 ? older : list.older, fresh };
}

/** The list after a page of the past was fetched. */
export function withOlder<T extends Row>(list: LiveList<T>, page: Page<T>): LiveList<T> {
  return { rows: join(list.rows, page.items), older: page.next_cursor ?? null, fresh: list.fresh };
}

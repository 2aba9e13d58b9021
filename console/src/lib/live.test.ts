import { describe, expect, it } from "vitest";
import { emptyList, type LiveList, type Row, withHead, withOlder } from "./live";

const row = (n: number): Row => ({ id: `r${n}`, started_at: new Date(n * 1000).toISOString() });
const rows = (...numbers: number[]): Row[] => numbers.map(row);
const shown = (list: LiveList<Row>) => list.rows.map(({ id }) => id).join(" ");

describe("the live list", () => {
  it("puts new rows on top and marks them, but not the first page", () => {
    const first = withHead(emptyList<Row>(), { items: rows(3, 2), next_cursor: "c2" });
    expect(first.fresh.size).toBe(0);
    const second = withHead(first, { items: rows(5, 4, 3), next_cursor: "c3" });
    expect(shown(second)).toBe("r5 r4 r3 r2");
    expect([...second.fresh]).toEqual(["r5", "r4"]);
    expect(second.older).toBe("c2");
  });

  it("replaces a row that comes again", () => {
    const changed = { ...row(2), cost: "1" };
    const list = withHead(withHead(emptyList<Row>(), { items: rows(2) }), { items: [changed] });
    expect(list.rows).toEqual([changed]);
  });

  it("appends the past and knows its end", () => {
    const head = withHead(emptyList<Row>(), { items: rows(4, 3), next_cursor: "c" });
    const all = withOlder(head, { items: rows(2, 1), next_cursor: null });
    expect(shown(all)).toBe("r4 r3 r2 r1");
    expect(all.older).toBeNull();
  });

  it("starts again rather than hide a gap after a burst", () => {
    const before = withHead(emptyList<Row>(), { items: rows(2, 1), next_cursor: "old" });
    const after = withHead(before, { items: rows(9, 8), next_cursor: "c8" });
    expect(shown(after)).toBe("r9 r8");
    expect(after.older).toBe("c8");
  });

  it("keeps the past when a head without overlap is the whole list", () => {
    const before = withHead(emptyList<Row>(), { items: rows(1) });
    expect(shown(withHead(before, { items: rows(2) }))).toBe("r2 r1");
  });

  it("orders rows of the same moment by id", () => {
    const at = row(1).started_at;
    const list = withHead(emptyList<Row>(), { items: [{ id: "a", started_at: at }, { id: "b", started_at: at }] });
    expect(shown(list)).toBe("b a");
  });
});

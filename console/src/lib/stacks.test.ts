import { describe, expect, it } from "vitest";
import { OTHER, stacksOf } from "./stacks";

const DAYS = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"];
const point = (start: string, group: string, amount: string) => ({ start, group, amount });

describe("stacks", () => {
  it("give every bucket a place and add exactly", () => {
    const [stack] = stacksOf([point("2026-01-02T00:00:00.000Z", "a", "0.1"), point(DAYS[1]!, "a", "0.2")], DAYS);
    expect(stack?.amounts).toEqual(["0", "0.3"]);
    expect(stack?.total).toBe("0.3");
  });

  it("rank by amount and gather the rest without losing a cent", () => {
    const points = ["5", "4", "3", "2", "1"].map((cost, at) => point(DAYS[0]!, `g${at}`, cost));
    const stacks = stacksOf(points, DAYS, 2);
    expect(stacks.map((stack) => [stack.group, stack.total])).toEqual([
      ["g0", "5"],
      ["g1", "4"],
      [OTHER, "6"],
    ]);
  });

  it("do not hide a single group behind a name that says less", () => {
    const points = ["3", "2", "1"].map((cost, at) => point(DAYS[0]!, `g${at}`, cost));
    expect(stacksOf(points, DAYS, 2).map((stack) => stack.group)).toEqual(["g0", "g1", "g2"]);
  });

  it("keep the rest that came as one last, however much it is", () => {
    const points = [point(DAYS[0]!, OTHER, "9"), ...["3", "2", "1"].map((cost, at) => point(DAYS[0]!, `g${at}`, cost))];
    expect(stacksOf(points, DAYS, 2).map((stack) => [stack.group, stack.total])).toEqual([
      ["g0", "3"],
      ["g1", "2"],
      [OTHER, "10"],
    ]);
  });

  it("leave out what is not in the span", () => {
    expect(stacksOf([point("2025-12-31T00:00:00Z", "a", "1")], DAYS)).toEqual([]);
  });
});

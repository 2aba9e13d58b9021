import { describe, expect, it } from "vitest";
import { pieces } from "./quoted";

describe("words with code in them", () => {
  it("are cut at their backquotes", () => {
    expect(pieces("begins with `acl_`, shown once")).toEqual([
      { text: "begins with ", code: false, at: 0 },
      { text: "acl_", code: true, at: 1 },
      { text: ", shown once", code: false, at: 2 },
    ]);
    expect(pieces("`api` (trust), `console`").map((piece) => piece.text)).toEqual(["api", " (trust), ", "console"]);
    expect(pieces("plain")).toEqual([{ text: "plain", code: false, at: 0 }]);
    expect(pieces("")).toEqual([]);
  });

  it("keep a backquote that is never closed", () => {
    expect(pieces("a ` b")).toEqual([{ text: "a ` b", code: false, at: 0 }]);
    expect(pieces("`x` and ` y").map((piece) => piece.text).join("|")).toBe("x| and ` y");
  });
});

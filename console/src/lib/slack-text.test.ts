import { describe, expect, it } from "vitest";
import { readSlackBlocks, readSlackText } from "./slack-text";

describe("Slack's text", () => {
  it("falls into bold, code, links and the rest", () => {
    expect(readSlackText("Spent *$2.00*, see <https://costlens.example/|the console>.")).toEqual([
      { kind: "text", text: "Spent " },
      { kind: "bold", text: "$2.00" },
      { kind: "text", text: ", see " },
      { kind: "link", text: "the console", to: "https://costlens.example/" },
      { kind: "text", text: "." },
    ]);
    expect(readSlackText("*Days*\n```Mon  $1\nTue  $2```")).toEqual([
      { kind: "bold", text: "Days" },
      { kind: "text", text: "\n" },
      { kind: "code", text: "Mon  $1\nTue  $2" },
    ]);
  });

  it("undoes Slack's escapes once and only once", () => {
    expect(readSlackText("&lt;1% &amp;lt;")).toEqual([{ kind: "text", text: "<1% &lt;" }]);
  });

  it("makes no link of another scheme", () => {
    expect(readSlackText("<javascript:alert(1)|here>").every(({ kind }) => kind === "text")).toBe(true);
  });
});

describe("Slack's blocks", () => {
  it("are read in order, and unknown ones are left out", () => {
    const message = {
      blocks: [
        { type: "header", text: { type: "plain_text", text: "Week 47" } },
        { type: "divider" },
        { type: "section", fields: [{ type: "mrkdwn", text: "a" }, { type: "mrkdwn", text: "b" }] },
        { type: "context", elements: [{ type: "mrkdwn", text: "c" }] },
      ],
    };
    expect(readSlackBlocks(message)).toEqual([
      { kind: "header", texts: ["Week 47"] },
      { kind: "section", texts: ["a", "b"] },
      { kind: "context", texts: ["c"] },
    ]);
  });

  it("are none where there is no message", () => {
    for (const odd of [null, undefined, "text", {}, { blocks: 1 }]) expect(readSlackBlocks(odd)).toEqual([]);
  });
});

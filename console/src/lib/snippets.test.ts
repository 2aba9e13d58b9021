import { describe, expect, it } from "vitest";
import { LANGUAGES, snippet } from "./snippets";

describe("the lines to paste", () => {
  it.each(LANGUAGES)("carry the address, the key and the model (%s)", (language) => {
    const text = snippet(language, "http://localhost:8080", "acl_secret", "demo/echo");
    expect(text).toContain("http://localhost:8080/v1");
    expect(text).toContain("acl_secret");
    expect(text).toContain("demo/echo");
  });

  it("send a body that is JSON", () => {
    const body = /-d '(.+)'/.exec(snippet("curl", "http://x", "k"))?.[1] ?? "";
    expect(JSON.parse(body)).toEqual({ model: "demo/echo", messages: [{ role: "user", content: "Hello" }] });
  });
});

import { expect, it } from "vitest";
import { mailPage } from "./mail-page";

it("a mail loses its style elements and keeps its style attributes", () => {
  const html = '<head><meta name="color-scheme" content="light dark" /><STYLE type="text/css">.a { color: red }</STYLE\n></head><p style="margin:0">Hello</p><style>b{}</style>';
  expect(mailPage(html)).toBe('<head></head><p style="margin:0">Hello</p>');
});

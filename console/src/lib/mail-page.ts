// A mail as a page inside the console. The frame inherits the console's content security policy, which lets style
// attributes through and no style elements; those only adapt a mail to narrow and dark programs, so they are taken
// out here, instead of being refused with a complaint.

/** The document without its style elements, on the light ground that it is written for. */
export function mailPage(html: string): string {
  const plain = html.replaceAll(/<style\b[^>]*>[\s\S]*?<\/style\s*>/gi, "");
  return plain.replaceAll(/<meta\b[^>]*\bcolor-schemes?\b[^>]*>/gi, "");
}

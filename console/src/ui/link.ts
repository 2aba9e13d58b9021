// How a link looks within a text.
export const LINK = "font-medium text-accent-ink underline-offset-2 hover:underline";

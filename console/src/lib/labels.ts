// A key's labels as a person types them: a team, a user, and tags as `name=value` with commas between.
export interface Label {
  name: string;
  value: string;
}

const KNOWN = new Set(["team", "user"]);

/** The tags of a key, to be typed on. */
export function tagsInText(labels: readonly Label[]): string {
  const tags = labels.filter(({ name }) => !KNOWN.has(name));
  return tags.map(({ name, value }) => `${name}=${value}`).join(", ");
}

/** What is sent. A tag without a name or a value is sent as it is, and the server says what is wrong with it. */
export function labelsOf(team: string, user: string, tags: string): Label[] {
  const typed = tags.split(",").map((tag) => tag.trim()).filter(Boolean);
  const pairs = typed.map((tag) => {
    const [name = "", ...value] = tag.split("=");
    return { name: name.trim(), value: value.join("=").trim() };
  });
  const known = [
    { name: "team", value: team.trim() },
    { name: "user", value: user.trim() },
  ];
  return [...known.filter(({ value }) => value !== ""), ...pairs];
}

/** The labels in a few words: `Search · stage=production`. */
export function labelsInWords(labels: readonly Label[]): string {
  return labels.map(({ name, value }) => (KNOWN.has(name) ? value : `${name}=${value}`)).join(" · ");
}

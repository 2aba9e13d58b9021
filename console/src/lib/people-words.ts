// Plain words for people: roles, ways of signing in, browsers, and why somebody came back with nothing.
import type { Role } from "@/api/types";

/** The least first. */
export const ROLES: readonly { value: Role; label: string; note: string }[] = [
  { value: "viewer", label: "Viewer", note: "Looks at spend, bills and budgets" },
  { value: "member", label: "Member", note: "Uses the proxy: has keys, sees calls" },
  { value: "analyst", label: "Analyst", note: "Works with the figures: uploads bills, sets budgets" },
  { value: "admin", label: "Admin", note: "Runs the account, but for its owners and its end" },
  { value: "owner", label: "Owner", note: "May do everything, and closes the account" },
];

const rank = (role: Role): number => ROLES.findIndex(({ value }) => value === role);

export function roleLabel(role: Role): string {
  return ROLES.find(({ value }) => value === role)?.label ?? role;
}

/** The roles that somebody of this role may give away. */
export function rolesUpTo(role: Role): typeof ROLES {
  return ROLES.filter(({ value }) => rank(value) <= rank(role));
}

export function isAtLeast(role: Role, least: Role): boolean {
  return rank(role) >= rank(least);
}

/** Those who vouch for anybody. */
export const VOUCHERS: Record<string, string> = { google: "Google", github: "GitHub" };

const METHODS: Record<string, string> = {
  ...VOUCHERS,
  link: "a link of the operator",
  password: "password",
  clerk: "Clerk",
  oidc: "single sign-on",
  registration: "registering",
  invitation: "an invitation",
};

export function methodLabel(method: string): string {
  return METHODS[method] ?? method;
}

const ISSUERS: Record<string, string> = { "accounts.google.com": "Google", "github.com": "GitHub" };

/** Who vouches, by the name that people know; an organisation's own provider by its address. */
export function issuerLabel(issuer: string): string {
  return ISSUERS[issuer.replace(/^https:\/\//, "").replace(/\/$/, "")] ?? issuer;
}

/** `Firefox on Linux`, of a browser's own words; those words where they say nothing known. */
export function browserLabel(words: string | null): string {
  if (!words) return "An unknown browser";
  const browser = [
    [/Edg\//, "Edge"],
    [/OPR\//, "Opera"],
    [/Firefox\//, "Firefox"],
    [/Chrom(e|ium)\//, "Chrome"],
    [/Safari\//, "Safari"],
    [/curl\//, "curl"],
  ].find(([pattern]) => (pattern as RegExp).test(words))?.[1] as string | undefined;
  const system = [
    [/iPhone|iPad/, "iOS"],
    [/Android/, "Android"],
    [/Windows/, "Windows"],
    [/Mac OS X|Macintosh/, "macOS"],
    [/Linux|X11/, "Linux"],
  ].find(([pattern]) => (pattern as RegExp).test(words))?.[1] as string | undefined;
  if (!browser) return words.slice(0, 60);
  return system ? `${browser} on ${system}` : browser;
}

const PROBLEMS: Record<string, string> = {
  stale: "That took too long, or began in another browser. Try again.",
  refused: "They did not vouch for you. Try again.",
  unavailable: "They cannot be asked at this moment. Try again in a while.",
  no_verified_address: "They have not checked your e-mail address. Confirm it there, then try again.",
  foreign_domain: "They vouch for an address that is not in a domain of your organisation.",
  address_taken: "Somebody signs in with this address in another way. Sign in that way, then add this one in your profile.",
  not_invited: "Nobody has invited this address. Ask somebody of your organisation to.",
  linked_elsewhere: "This account there belongs to somebody else here.",
};

/** Why the browser came back with nothing; `null` for what is no such reason. */
export function comebackInWords(problem: string | undefined): string | null {
  return problem ? (PROBLEMS[problem] ?? null) : null;
}

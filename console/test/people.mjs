// Who belongs to the organisation and how they sign in, what is kept of prompts, and who may look.
import { at, DAY, HOUR, id, page } from "./shapes.mjs";

const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1";
const ME = { id: id("usr", 1), email: "ada@acme.example", name: "Ada Lovelace" };

export function sessionOf(world) {
  return {
    id: id("ses", 1),
    tenant_id: id("ten", 1),
    tenant_name: "Acme Corp",
    user: world.byLink ? null : ME,
    role: world.role ?? "owner",
    method: world.byLink ? "link" : (world.method ?? "password"),
    operator: true,
    read_only: false,
    two_factors: true,
    proven_until: at(HOUR),
    expires_at: at(HOUR),
    continues_until: at(7 * DAY),
    closing_at: world.closing ? at(0) : null,
  };
}

const MEMBERS = [
  [ME.email, ME.name, "owner", true],
  ["grace.hopper@acme.example", "Grace Hopper", "admin", true],
  ["finops@acme.example", "Katherine Johnson", "analyst", false],
  ["a.very.long.address.of.somebody.in.procurement@subsidiary-of-acme.example", "Maria Magdalena von und zu Beispielhausen-Musterstadt", "viewer", false],
].map(([email, name, role, second_factor], number) => ({ user_id: id("usr", number + 1), email, name, role, second_factor, joined_at: at(-(200 - number * 60) * DAY) }));

const INVITATIONS = [
  ["new.colleague@acme.example", "member", "sent", -DAY],
  ["mistyped@acmee.example", "analyst", "refused", -5 * HOUR],
].map(([email, role, mail, created], number) => ({ id: id("inv", number + 1), email, role, mail, created_at: at(created), expires_at: at(created + 7 * DAY) }));

const DOMAINS = [
  ["acme.example", "proven"],
  ["labs.acme.example", "pending"],
  ["acme-retail.example", "failing"],
].map(([domain, state], number) => ({
  id: id("sod", number + 1),
  domain,
  state,
  record_name: `_costlens.${domain}`,
  record: `costlens-domain=${"4f2c91aa".repeat(4)}${number}`,
  created_at: at(-40 * DAY),
  checked_at: state === "pending" ? at(-9 * 60_000) : at(-2 * HOUR),
  proven_at: state === "pending" ? null : at(-39 * DAY),
  seen_at: state === "proven" ? at(-2 * HOUR) : state === "failing" ? at(-20 * HOUR) : null,
}));

const SINGLE_SIGN_ON = {
  provider: { id: id("sop", 1), issuer: "https://login.acme.example/realms/people", client_id: "costlens-console", default_role: "viewer", required: true, created_at: at(-40 * DAY), changed_at: at(-6 * DAY) },
  domains: DOMAINS,
  redirect_uri: "https://costlens.example/api/v1/single-sign-on/ten_00000000000000000000000000000001/callback",
  unlinked_members: 2,
};

const SIGN_INS = [
  [FIREFOX, "password", true, true, "Acme Corp"],
  [SAFARI, "google", false, false, "Acme Corp"],
  ["curl/8.17.0", "link", false, false, "Acme Labs"],
  [null, "oidc", false, true, "Acme Corp"],
].map(([browser, method, current, two_factors, tenant_name], number) => ({ id: id("ses", number + 1), browser, method, current, two_factors, tenant_name, since: at(-number * 9 * HOUR - 60_000), expires_at: at(HOUR - number * 60_000), continues_until: number === 2 ? null : at(6 * DAY) }));

const OPTIONS = { mail_configured: true, registration: true, providers: ["google", "github"], clerk: null };

const PRIVACY = { capture_bodies: true, zero_retention: false, redact: true, body_retention: "90d", forever_floor_days: 365, forever_ends_after_days: null, private_hosts: ["llm.internal.acme.example:8000", "10.20.0.7:11434"] };

const GRANTS = [
  ["Answers break off since this morning", at(3 * HOUR), null, true],
  ["The receipt of a batch looks too dear", at(-6 * DAY), at(-6 * DAY - HOUR), false],
  ["Moving to another region", at(-40 * DAY), null, false],
].map(([reason, expires_at, revoked_at, holds], number) => ({ id: id("sup", number + 1), reason, granted_at: at(-number * 7 * DAY - HOUR), expires_at, revoked_at, holds }));

const qr = () => Array.from({ length: 29 }, (_row, row) => Array.from({ length: 29 }, (_cell, column) => ((row * 7 + column * 3 + row * column) % 3 === 0 ? "#" : " ")).join(""));

/** What needs no session; `undefined` where the path is another's. */
export function openAnswer(world, path, { method }) {
  if (path === "/sign-in-options") return world.clerk ? { ...OPTIONS, registration: false, providers: [], clerk: { frontend_url: "https://clerk.acme.example", sign_in_url: "https://accounts.acme.example/sign-in" } } : OPTIONS;
  if ((path === "/registrations" || path === "/password-resets") && method === "POST") return {};
  if (path === "/password-resets/complete") return {};
  return undefined;
}

/** `undefined` where the path is another's. */
export function peopleAnswer(world, path, { method }) {
  if (path === "/user/second-factor" && method === "POST") return { secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", uri: "otpauth://totp/Costlens:ada@acme.example?secret=JBSWY3DPEHPK3PXP", qr: qr() };
  if (path === "/user/recovery-codes") return { codes: Array.from({ length: 10 }, (_, number) => `k7qd-${number}fke-2btz-x${number}lm`) };
  if (path === "/invitations" && method === "POST") return { ...INVITATIONS[0], link: "https://costlens.example/invitation#t=7Qd9fKe2bTzk0Lm4f2c91aa0b9e7Qd9fKe2bTzk0Lm" };
  if (method !== "GET") return undefined;
  if (path === "/user")
    return {
      ...ME,
      has_password: !world.method,
      second_factor: !world.empty && !world.method,
      recovery_codes_left: world.empty ? 0 : 3,
      identities: world.empty ? [] : [{ issuer: "https://accounts.google.com", linked_at: at(-90 * DAY) }, { issuer: "https://login.acme.example/realms/people", linked_at: at(-6 * DAY) }],
      memberships: [["Acme Corp", "owner"], ["Acme Labs", "analyst"]].map(([tenant_name, role], number) => ({ tenant_id: id("ten", number + 1), tenant_name, role })),
    };
  if (path === "/user/sign-ins") return { items: world.empty ? SIGN_INS.slice(0, 1) : SIGN_INS };
  if (path === "/members") return { items: world.byLink ? [] : world.empty ? MEMBERS.slice(0, 1) : MEMBERS };
  if (path === "/invitations") return { items: world.empty ? [] : INVITATIONS };
  if (path === "/single-sign-on") return world.empty ? { ...SINGLE_SIGN_ON, provider: null, domains: [], unlinked_members: 0 } : SINGLE_SIGN_ON;
  if (path === "/tenant") return { id: id("ten", 1), name: "Acme Corp", one_hour_sign_in: false, created_at: at(-200 * DAY) };
  if (path === "/privacy") return world.empty ? { ...PRIVACY, capture_bodies: false, private_hosts: [] } : PRIVACY;
  if (path === "/privacy/purge-preview") return { body_retention: "30d", bodies: 41_220, oldest: at(-88 * DAY).slice(0, 10), newest: at(-31 * DAY).slice(0, 10) };
  if (path === "/support-grants") return page(world.empty ? [] : GRANTS);
  const body = /^\/requests\/(\w+)\/body$/.exec(path);
  if (body)
    return {
      id: body[1],
      presence: "present",
      state: "sealed",
      redacted: true,
      body_retention: "90d",
      expires_at: at(89 * DAY),
      request: '{"model":"claude-sonnet-4-5","max_tokens":1024,"messages":[{"role":"user","content":"Write to [EMAIL] that the parcel of order 4711 is late."}]}',
      response: '{"content":[{"type":"text","text":"Dear customer, we are sorry: your parcel arrives on Friday."}],"stop_reason":"end_turn"}',
      request_bytes: 148,
      response_bytes: 117,
    };
  return undefined;
}


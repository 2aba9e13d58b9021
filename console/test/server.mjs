// Serves the built console with the content security policy of the product, and the fixtures in place of the API.
// For pictures and browser checks only; nothing of it reaches the bundle.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { BILLS, CANDIDATE_RULES, CANDIDATES, CONNECTIONS, KEYS, makeBillBreakdown, makeBillSeries, makeBreakdown, makeRequest, makeRequests, makeSeries, PROVIDERS, seeded } from "./fixtures.mjs";
import { awsAnswer } from "./aws.mjs";
import { insightAnswer } from "./insight.mjs";
import { noticesAnswer, publicAnswer } from "./notices.mjs";
import { openAnswer, peopleAnswer, sessionOf } from "./people.mjs";
import { pricesAnswer } from "./prices.mjs";
import { chargebackAnswer } from "./chargeback.mjs";
import { settlementAnswer } from "./settlement.mjs";
import { TRUST } from "./trust.mjs";
import { vendorsAnswer } from "./vendors.mjs";

/** Who answers what is not answered here, by topic. */
const TOPICS = [awsAnswer, chargebackAnswer, insightAnswer, peopleAnswer, pricesAnswer, settlementAnswer, vendorsAnswer];

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2" };
export const POLICY =
  "default-src 'self'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

function problem(code, status, title, detail) {
  return { status, type: "application/problem+json", body: { type: `urn:costlens:problem:${code}`, title, status, detail, instance: "req-7f31c2", code, errors: [] } };
}

const ok = (body, status = 200) => ({ status, type: "application/json", body });

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * A fresh world; `empty` has no calls and no bills, `broken` answers spend with a problem, `closing` is an account
 * whose end was asked for, `amber` has a month with much that no reason explains, `issuers` settles against two issuers, `clerk` keeps people in our place,
 * `byLink` came by a link of the operator.
 */
export function makeWorld({ empty = false, broken = false, signedIn = true, ...states } = {}) {
  return {
    ...states,
    signedIn,
    broken,
    empty,
    keys: empty ? [] : structuredClone(KEYS),
    connections: empty ? [] : structuredClone(CONNECTIONS),
    requests: empty ? [] : makeRequests(400),
    bills: empty ? [] : structuredClone(BILLS),
    random: seeded(99),
    made: 10_000,
    uploads: new Map(),
  };
}

function call(world, keyId) {
  world.made += 1;
  const row = makeRequest(world.random, world.made, Date.now());
  if (keyId) Object.assign(row, { api_key_id: keyId, model_requested: "demo/echo", model_served: "demo/echo", provider: "demo", outcome: "completed", status: 200, cost_basis: "exact", cost: "0.0021", error_code: null, origin: "proxy", claim: null });
  world.requests.unshift(row);
  return row;
}

async function answer(world, request, url, raw) {
  const path = url.pathname.replace(/^\/api\/v1/, "");
  const { searchParams: query } = url;
  const { method } = request;
  const session = sessionOf(world);
  if (path === "/sessions" && method === "POST") {
    const { token } = JSON.parse(raw.toString());
    if (token !== "good-token-0123456789") return problem("sign_in_link_invalid", 401, "The sign-in link is not valid", "It was used before, or it is older than 30 minutes.");
    world.signedIn = true;
    return ok(session, 201);
  }
  if (path === "/trust") return ok(TRUST);
  if (path === "/recipients/confirm" || path === "/unsubscribe" || path === "/status" || path.startsWith("/erasures/")) {
    const token = method === "POST" ? JSON.parse(raw.toString()).token : undefined;
    const found = publicAnswer(path, token);
    return found ? ok(found) : problem("link_invalid", 404, "The link is not valid", "The link is incomplete, or no longer leads anywhere.");
  }
  const isForm = method !== "GET" && raw.length > 0 && request.headers["content-type"] === "application/json";
  const asked = { query, method, body: isForm ? JSON.parse(raw.toString()) : undefined };
  if (path === "/sessions/password" && world.wantsSingleSignOn) return problem("single_sign_on_required", 403, "Your organisation wants single sign-on", "Go on with single sign-on.");
  if (path === "/sessions/exchange") return problem("link_invalid", 404, "The link is not valid", "It was used before, or it is older than a minute.");
  const open = openAnswer(world, path, asked);
  if (open) return ok(open);
  if (!world.signedIn) return problem("session_invalid", 401, "The session is not valid", "Sign in again.");
  if (path === "/session") {
    if (method === "DELETE") world.signedIn = false;
    return method === "DELETE" ? { status: 204 } : ok(session);
  }
  if (world.stale && method !== "GET" && path.startsWith("/members/")) return problem("step_up_required", 403, "A fresh proof of who you are is required", "Prove it, then try again.");
  const found = TOPICS.map((topic) => topic(world, path, asked)).find((one) => one !== undefined);
  if (found !== undefined) return ok(found);
  const notice = method === "GET" || path.endsWith("/preview") ? noticesAnswer(world, path) : undefined;
  if (notice) return ok(notice);
  if (path === "/webhook-endpoints" && method === "POST") {
    return ok({ endpoint: noticesAnswer(world, path).items[0], secret: "whsec_wO20SAXN7RRniqDtQx3NE3wYDzofM6zWN/J54cs5lUs=" }, 201);
  }
  if (path === "/keys" && method === "GET") return ok({ items: world.keys, next_cursor: null });
  if (path === "/keys" && method === "POST") {
    const wanted = JSON.parse(raw.toString());
    const key = { ...KEYS[0], expires_at: null, rolled_at: null, previous_until: null, ...wanted, id: `key_new${world.keys.length}`, hint: "wYkVs".slice(1), created_at: new Date().toISOString(), last_used_at: null, revoked_at: null };
    world.keys.unshift(key);
    return ok({ key, secret: "acl_4Kq8vW2nZ7fR1sXy6TtB9mPcLh3JdGe0aUiQoNwYkVs" }, 201);
  }
  const keyPath = /^\/keys\/(\w+)$/.exec(path);
  if (keyPath) {
    const key = world.keys.find(({ id }) => id === keyPath[1]);
    if (method === "DELETE") key.revoked_at = new Date().toISOString();
    if (method === "PATCH") Object.assign(key, JSON.parse(raw.toString()));
    return method === "DELETE" ? { status: 204 } : ok(key);
  }
  if (path === "/providers") return ok({ items: PROVIDERS });
  if (path === "/connections" && method === "GET") return ok({ items: world.connections, next_cursor: null });
  if (path === "/connections") {
    const { secret: _secret, ...wanted } = JSON.parse(raw.toString());
    const connection = { models: [], base_url: null, has_secret: true, ...wanted, id: `con_${world.connections.length + 1}x`, created_at: new Date().toISOString(), disabled_at: null };
    world.connections.push(connection);
    return ok(connection, 201);
  }
  const connectionPath = /^\/connections\/(\w+)$/.exec(path);
  if (connectionPath) {
    world.connections.find(({ id }) => id === connectionPath[1]).disabled_at = new Date().toISOString();
    return { status: 204 };
  }
  if (path === "/requests") {
    let rows = world.requests;
    for (const name of ["api_key_id", "provider", "outcome", "origin"]) {
      if (query.get(name)) rows = rows.filter((row) => row[name] === query.get(name));
    }
    if (query.get("model")) rows = rows.filter((row) => [row.model_requested, row.model_served].includes(query.get("model")));
    const from = query.get("cursor") ? rows.findIndex((row) => row.id === query.get("cursor")) + 1 : 0;
    const items = rows.slice(from, from + Number(query.get("limit") ?? 50));
    return ok({ items, next_cursor: from + items.length < rows.length ? items.at(-1).id : null });
  }
  if (path.startsWith("/imports/litellm/")) {
    const refusals = [{ line: 17, detail: "begins in the future" }, { line: 204, detail: "did not fail and tells no tokens: what is not counted in tokens is not imported" }];
    return ok({ taken: 1_204, known: 38, refused: 2, refusals });
  }
  const requestPath = /^\/requests\/(\w+)$/.exec(path);
  if (requestPath) {
    const row = world.requests.find(({ id }) => id === requestPath[1]);
    return row ? ok(row) : problem("not_found", 404, "There is no such thing", "No request has this id.");
  }
  if (path === "/spend/series") {
    if (world.broken) return problem("database_unavailable", 503, "The database cannot be reached", "Try again in a moment.");
    return ok(makeSeries(query.get("from"), query.get("to"), query.get("interval"), query.get("group_by")));
  }
  if (path === "/spend/breakdown") return ok(makeBreakdown(query.get("by")));
  if (path === "/bills/series") return ok(makeBillSeries(query.get("from"), query.get("to"), query.get("group_by")));
  if (path === "/bills" && method === "GET") return ok({ items: world.bills, next_cursor: null });
  if (path === "/bills") {
    const name = query.get("filename");
    const upload = { id: `upl_${world.uploads.size + 1}`, name, size_bytes: raw.length, state: "received", progress: null, problem: null, bill_id: null, created_at: new Date().toISOString(), finished_at: null };
    world.uploads.set(upload.id, { upload, isBad: raw.includes("garbage") });
    return ok(upload, 202);
  }
  const uploadPath = /^\/bills\/uploads\/(\w+)$/.exec(path);
  if (uploadPath) {
    // The first look finds it half read, the second at its end.
    const { upload, isBad } = world.uploads.get(uploadPath[1]);
    if (upload.state === "received") Object.assign(upload, { state: "reading", progress: { step: "reading", permille: 500 } });
    else if (upload.state === "reading" && isBad) {
      const detail = `${upload.name}, line 1: no column is known from a Cost and Usage Report or FOCUS.`;
      Object.assign(upload, { state: "failed", problem: { code: "bill_unreadable", detail }, finished_at: new Date().toISOString() });
    } else if (upload.state === "reading") {
      const bill = { ...BILLS[0], id: `bil_${world.bills.length + 1}x`, name: upload.name, imported_at: new Date().toISOString() };
      world.bills.unshift(bill);
      Object.assign(upload, { state: "published", bill_id: bill.id, finished_at: bill.imported_at });
    }
    return ok(upload);
  }
  const billPath = /^\/bills\/(\w+)(\/breakdown)?$/.exec(path);
  const bill = billPath && world.bills.find(({ id }) => id === billPath[1]);
  if (bill) return ok(billPath[2] ? makeBillBreakdown(bill, query.get("by") ?? "service", query.get("measure") ?? "unblended") : bill);
  const candidatesPath = /^\/bills\/(\w+)\/candidates$/.exec(path);
  if (candidatesPath) return ok({ items: candidatesPath[1] === BILLS[0].id ? CANDIDATES : [] });
  if (path === "/candidate-rules") return ok({ items: CANDIDATE_RULES });
  return problem("not_found", 404, "There is no such thing", `${method} ${path}`);
}

async function serveFile(url, response) {
  const path = normalize(url.pathname).replace(/^(\.\.[/\\])+/, "");
  const send = (body, type) => response.writeHead(200, { "content-type": type, "content-security-policy": POLICY }).end(body);
  try {
    if (extname(path) === "") throw new Error("a place of the console");
    send(await readFile(join(DIST, path)), TYPES[extname(path)] ?? "application/octet-stream");
  } catch {
    if (extname(path) !== "") response.writeHead(404).end();
    else send(await readFile(join(DIST, "index.html")), TYPES[".html"]);
  }
}

/** Starts the server on a free port of the loopback interface. */
export async function startServer(world) {
  const server = createServer(async (request, response) => {
    try {
      const url = new URL(request.url, "http://localhost");
      if (url.pathname === "/v1/chat/completions") {
        const secret = (request.headers.authorization ?? "").slice(7);
        await bodyOf(request);
        call(world, secret ? world.keys[0]?.id : undefined);
        response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ choices: [{ message: { content: "Hello" } }] }));
      } else if (url.pathname.startsWith("/api/")) {
        const { status, type, body } = await answer(world, request, url, await bodyOf(request));
        response.writeHead(status, type ? { "content-type": type } : {}).end(body === undefined ? undefined : JSON.stringify(body));
      } else {
        await serveFile(url, response);
      }
    } catch (error) {
      console.error(error);
      response.writeHead(500).end();
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  return { url: `http://127.0.0.1:${port}`, call: () => call(world), close: () => new Promise((done) => server.close(done)) };
}

// What anybody may read, as the API answers it. For pictures and browser checks only.
const proof = (file, ...tests) => ({ file, tests });

export const TRUST = {
  last_change: "2026-11-26",
  version: "0.1.0",
  areas: [
    {
      title: "Encryption",
      promises: [
        {
          id: "B3",
          promise: "Provider keys are sealed with AES-256-GCM and open in their own row only; any changed byte is noticed.",
          state: "kept",
          kept_by: "`crates/vault` (tenant_keys, seal)",
          proofs: [proof("crates/vault/src/tests/tenant_keys.rs", "a_sealed_text_opens_in_its_own_row_only", "any_changed_byte_and_any_cut_of_a_sealed_text_is_noticed")],
          mutants: ["B3-row-not-bound", "B3-stored-plain"],
        },
        { id: "B4", promise: "Each customer's secrets are sealed under a random key of its own.", state: "being_built", kept_by: "`crates/vault` (keyring)", proofs: [], mutants: [] },
      ],
    },
    {
      title: "Signing in",
      promises: [
        {
          id: "E8",
          promise: "API keys are 32 random bytes with the prefix `acl_`, shown once; only their SHA-256 is stored.",
          state: "partly",
          kept_by: "`crates/vault` (secret_token)",
          proofs: [proof("crates/vault/src/secret_token.rs", "the_hash_is_sha_256")],
          mutants: ["E8-few-random-bytes"],
        },
        { id: "E10", promise: "Inbound webhooks will be verified, in constant time, within a window, and stored once.", state: "not_built", kept_by: "", proofs: [], mutants: [] },
      ],
    },
    { title: "The ledger", promises: [{ id: null, promise: "Amounts are exact; two currencies are never added.", state: "kept", kept_by: "`crates/domain` (money)", proofs: [proof("crates/domain/src/money.rs", "two_currencies_do_not_add_up")], mutants: [] }] },
  ],
  facts: [
    { area: "Encryption", name: "Secrets are sealed with", value: "AES-256-GCM, bound to tenant, table, column and row" },
    { area: "Signing in", name: "A session lives at most", value: "60 minutes" },
    { area: "Privacy", name: "Prompts and answers that are stored", value: "none" },
    { area: "Privacy", name: "A closed account", value: "is erased after 7 days, and at the latest 30 days after it was closed" },
  ],
  retention: [
    { table: "request", keep_days: null, reason: "cost metadata is the ledger" },
    { table: "idempotency_key", keep_days: 1, reason: "clients retry within a day" },
    { table: "session", keep_days: 30, reason: "an ended session shows who was signed in when" },
  ],
  subprocessors: [
    { name: "The mail server", host: "mail.example.com:465", purpose: "Sends digests, alerts and questions for consent by mail.", data: "Addresses of those who agreed, and the figures and names that the letter shows.", your_choice: false },
    { name: "Slack", host: "hooks.slack.com", purpose: "Posts digests and alerts to the channels that you add.", data: "The figures and names that the message shows.", your_choice: true },
    { name: "Your webhook endpoints", host: null, purpose: "Tells your programs of events that they asked for.", data: "The event's ids and figures.", your_choice: true },
  ],
  reporting: {
    contact: "security@costlens.example",
    acknowledged_within_hours: 48,
    severities: [
      { severity: "critical", example: "another tenant's rows, sealed secrets, a way round authentication", days: 7 },
      { severity: "low", example: "hardening", days: 90 },
    ],
  },
};

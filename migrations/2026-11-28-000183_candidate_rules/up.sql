-- What a tenant's people say of candidates: which of the lines that may be AI are. A rule names a service, and where it
-- names an account, region or instance type, too, those alone.
CREATE TABLE candidate_rule (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    service text NOT NULL,
    usage_account text,
    region text,
    instance_type text,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX candidate_rule_once ON candidate_rule
    (tenant_id, service, COALESCE(usage_account, ''), COALESCE(region, ''), COALESCE(instance_type, ''))
    WHERE ended_at IS NULL;

ALTER TABLE candidate_rule ENABLE ROW LEVEL SECURITY;
ALTER TABLE candidate_rule FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON candidate_rule TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON candidate_rule TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE (ended_at) ON candidate_rule TO costlens_app;

-- The rule by which a candidate counts as AI: its verdict is `ai` then, and `candidate` again once no rule says so.
ALTER TABLE bill_daily_fact ADD COLUMN by_rule uuid
    CONSTRAINT bill_daily_fact_ruled_is_ai CHECK (by_rule IS NULL OR verdict = 'ai');
GRANT UPDATE (verdict, class, by_rule) ON bill_daily_fact TO costlens_app;
-- Counts how often its facts were decided upon otherwise: what is read of it page by page is of one count.
ALTER TABLE bill ADD COLUMN decisions integer NOT NULL DEFAULT 0;
GRANT UPDATE (decisions) ON bill TO costlens_app;
GRANT UPDATE (ai, candidate, ai_net_unblended, ai_amortised, ai_net_amortised, ai_list, candidate_net_unblended,
    candidate_amortised, candidate_net_amortised, candidate_list) ON bill_control_total TO costlens_app;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('candidate_rule', NULL, 'explains which lines count as AI, and since when');

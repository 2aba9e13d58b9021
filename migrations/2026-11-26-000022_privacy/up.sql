-- What may be kept of prompts and answers. Without a row nothing may.
CREATE TABLE tenant_privacy (
    tenant_id uuid PRIMARY KEY REFERENCES tenant (id),
    capture_bodies boolean NOT NULL,
    zero_retention boolean NOT NULL,
    redact boolean NOT NULL,
    body_class text NOT NULL CHECK (body_class IN ('7d', '30d', '90d', '365d', 'forever')),
    updated_at timestamptz NOT NULL
);

-- The data keys of those whose prompts and answers are kept, wrapped: for now an API key is a subject of its own. A
-- destroyed key leaves its version behind, so that no later one is taken for it.
CREATE TABLE subject_key (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    subject_id uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    wrapped bytea,
    created_at timestamptz NOT NULL,
    destroyed_at timestamptz,
    PRIMARY KEY (tenant_id, subject_id, version),
    CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tenant_privacy', 'subject_key'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY owner ON %I TO CURRENT_USER USING (true) WITH CHECK (true)', name);
        EXECUTE format($p$CREATE POLICY tenant ON %I TO costlens_app
            USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
            WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)$p$, name);
        EXECUTE format('CREATE POLICY system ON %I TO costlens_system USING (true) WITH CHECK (true)', name);
    END LOOP;
END
$$;
GRANT SELECT, INSERT, UPDATE ON tenant_privacy TO costlens_app;
GRANT SELECT ON tenant_privacy TO costlens_system;
GRANT SELECT, INSERT, UPDATE (wrapped, destroyed_at), DELETE ON subject_key TO costlens_app;
-- A proxy makes a subject's first key when it first calls.
GRANT SELECT, INSERT ON subject_key TO costlens_system;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('tenant_privacy', NULL, 'settings of the account'),
    ('subject_key', NULL, 'opens prompts and answers; goes when none needs it');

ALTER TABLE api_key ADD COLUMN zero_retention boolean NOT NULL DEFAULT false;
GRANT UPDATE (zero_retention) ON api_key TO costlens_app;

-- What became of a call's prompt and answer, as decided when it came in.
ALTER TABLE request ADD COLUMN body text NOT NULL DEFAULT 'none'
    CONSTRAINT request_body_state CHECK (body IN ('none', 'sealed', 'truncated', 'dropped_zdr', 'unavailable'));

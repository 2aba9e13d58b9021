-- A tenant's way to a vendor's own cost reports. The admin key is sealed under the tenant's data key, given out to nobody,
-- and gone with the end of the source.
CREATE TABLE invoice_source (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    vendor text NOT NULL CHECK (vendor IN ('anthropic', 'openai')),
    name text NOT NULL,
    sealed_key bytea,
    -- Its last characters, by which its people know it.
    key_hint text NOT NULL,
    -- Counts the keys that it had: what a job found out with an older one does not count.
    key_number integer NOT NULL DEFAULT 1,
    -- Whose reports these are, by the vendor's own word, where it tells.
    organisation text,
    state text NOT NULL CHECK (state IN ('pending', 'active', 'paused', 'failing', 'revoked')),
    problem_code text,
    problem_detail text,
    -- How often in a row it was asked in vain.
    failures integer NOT NULL DEFAULT 0,
    next_fetch_at timestamptz,
    fetched_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CHECK ((problem_code IS NULL) = (problem_detail IS NULL)),
    CHECK (state <> 'failing' OR problem_code IS NOT NULL),
    CHECK ((state = 'revoked') = (revoked_at IS NOT NULL)),
    CHECK ((state = 'revoked') = (sealed_key IS NULL)),
    CHECK ((state IN ('paused', 'revoked')) = (next_fetch_at IS NULL))
);
CREATE UNIQUE INDEX invoice_source_name ON invoice_source (tenant_id, vendor, name) WHERE state <> 'revoked';
CREATE INDEX invoice_source_due ON invoice_source (next_fetch_at) WHERE next_fetch_at IS NOT NULL;

ALTER TABLE invoice_source ENABLE ROW LEVEL SECURITY;
ALTER TABLE invoice_source FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON invoice_source TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON invoice_source TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY system ON invoice_source TO costlens_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT,
    UPDATE (sealed_key, key_hint, key_number, organisation, state, problem_code, problem_detail, failures, next_fetch_at,
            fetched_at, updated_at, revoked_at)
    ON invoice_source TO costlens_app;
-- The schedule finds what is due, and a rotation what an older key sealed.
GRANT SELECT (tenant_id, id, next_fetch_at, sealed_key) ON invoice_source TO costlens_system;

-- A month of a source: what was read last, by its content, and the bill that counts. The same content is stored once.
CREATE TABLE invoice_month (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    source_id uuid NOT NULL,
    month date NOT NULL CHECK (extract(day FROM month) = 1),
    content_sha256 bytea CHECK (length(content_sha256) = 32),
    bill_id uuid,
    -- Why the last answers became no bill; the bill before them counts on.
    problem_code text,
    problem_detail text,
    -- When it was last read to an end, and when that changed what counts.
    read_at timestamptz,
    changed_at timestamptz,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, source_id, month),
    FOREIGN KEY (tenant_id, source_id) REFERENCES invoice_source (tenant_id, id),
    FOREIGN KEY (tenant_id, bill_id) REFERENCES bill (tenant_id, id),
    CHECK ((problem_code IS NULL) = (problem_detail IS NULL)),
    CHECK ((bill_id IS NULL) = (content_sha256 IS NULL))
);

ALTER TABLE invoice_month ENABLE ROW LEVEL SECURITY;
ALTER TABLE invoice_month FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON invoice_month TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON invoice_month TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
GRANT SELECT, INSERT,
    UPDATE (content_sha256, bill_id, problem_code, problem_detail, read_at, changed_at, updated_at)
    ON invoice_month TO costlens_app;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('invoice_source', NULL, 'says whose reports a month''s bill was made of'),
    ('invoice_month', NULL, 'says which answers of a vendor a month''s bill was made of');

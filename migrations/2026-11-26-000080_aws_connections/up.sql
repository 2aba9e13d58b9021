-- A tenant's link to an AWS account, from which its bill is read. There is no secret in it: access goes by a role that the
-- customer makes and may remove, and what opens the role is held in memory for the length of a job.
CREATE TABLE aws_connection (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    account_id text NOT NULL CHECK (account_id ~ '^[0-9]{12}$'),
    role_arn text NOT NULL,
    -- Made by us, random, and another one whenever the account is connected anew.
    external_id text NOT NULL UNIQUE,
    bucket text NOT NULL,
    prefix text NOT NULL CHECK (prefix <> ''),
    report text NOT NULL,
    -- As stated, or as found.
    region text,
    kms_key_arn text,
    layout text CHECK (layout IN ('legacy', 'export')),
    state text NOT NULL CHECK (state IN ('pending', 'verifying', 'active', 'paused', 'failing', 'revoked')),
    problem_code text,
    problem_detail text,
    -- How often in a row it was looked at and nothing was found.
    checks integer NOT NULL DEFAULT 0,
    next_check_at timestamptz,
    checked_at timestamptz,
    -- When the role was last proven to want the ExternalId, and when the last twelve months were looked at.
    verified_at timestamptz,
    swept_at timestamptz,
    delivered_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CHECK ((problem_code IS NULL) = (problem_detail IS NULL)),
    CHECK (state <> 'failing' OR problem_code IS NOT NULL),
    CHECK ((state = 'revoked') = (revoked_at IS NOT NULL)),
    CHECK ((state IN ('paused', 'revoked')) = (next_check_at IS NULL))
);
CREATE UNIQUE INDEX aws_connection_account ON aws_connection (tenant_id, account_id) WHERE state <> 'revoked';
CREATE INDEX aws_connection_due ON aws_connection (next_check_at) WHERE next_check_at IS NOT NULL;

ALTER TABLE aws_connection ENABLE ROW LEVEL SECURITY;
ALTER TABLE aws_connection FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON aws_connection TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON aws_connection TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY system ON aws_connection TO costlens_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT,
    UPDATE (external_id, region, layout, state, problem_code, problem_detail, checks, next_check_at, checked_at,
            verified_at, swept_at, delivered_at, updated_at, revoked_at)
    ON aws_connection TO costlens_app;
-- The schedule finds what is due.
GRANT SELECT (tenant_id, id, next_check_at) ON aws_connection TO costlens_system;

-- One version of a month's bill, as AWS delivered it. What AWS calls the delivery, or what its files are, names it: the
-- same delivery is read once by the same rules.
CREATE TABLE bill_delivery (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    connection_id uuid NOT NULL,
    month date NOT NULL CHECK (extract(day FROM month) = 1),
    delivery text NOT NULL,
    manifest_key text NOT NULL,
    manifest_etag text NOT NULL,
    manifest_sha256 bytea NOT NULL CHECK (length(manifest_sha256) = 32),
    -- SHA-256 of the columns that the manifest names, where it names them: another one says that the export changed.
    columns_sha256 bytea CHECK (length(columns_sha256) = 32),
    rules_version bigint NOT NULL,
    bill_id uuid NOT NULL,
    finality text NOT NULL CHECK (finality IN ('open', 'closing', 'invoiced', 'restated')),
    files integer NOT NULL,
    bytes bigint NOT NULL,
    -- What changed against the delivery before it, by line-item type and currency, and in a sentence.
    previous_id uuid,
    changes jsonb NOT NULL,
    change text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, connection_id, month, delivery, rules_version),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES aws_connection (tenant_id, id),
    FOREIGN KEY (tenant_id, bill_id) REFERENCES bill (tenant_id, id)
);

ALTER TABLE bill_delivery ENABLE ROW LEVEL SECURITY;
ALTER TABLE bill_delivery FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON bill_delivery TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON bill_delivery TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
GRANT SELECT, INSERT ON bill_delivery TO costlens_app;

-- A month of a connection: which manifest was last seen and what became of it. The row is the truth; the job that reads
-- the month is named by `job_id`, and `asks` counts how often one was asked for.
CREATE TABLE bill_month (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    connection_id uuid NOT NULL,
    month date NOT NULL CHECK (extract(day FROM month) = 1),
    state text NOT NULL CHECK (state IN ('waiting', 'reading', 'current', 'failed')),
    manifest_key text NOT NULL,
    -- Of the manifest that was read to an end, good or bad: another one is a new delivery.
    manifest_etag text,
    rules_version bigint NOT NULL DEFAULT 0,
    delivery_id uuid,
    progress jsonb,
    problem_code text,
    problem_detail text,
    job_id uuid,
    asks integer NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, month),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES aws_connection (tenant_id, id),
    FOREIGN KEY (tenant_id, delivery_id) REFERENCES bill_delivery (tenant_id, id),
    CHECK ((problem_code IS NULL) = (problem_detail IS NULL)),
    CHECK (state <> 'failed' OR problem_code IS NOT NULL),
    CHECK (state <> 'current' OR delivery_id IS NOT NULL)
);

ALTER TABLE bill_month ENABLE ROW LEVEL SECURITY;
ALTER TABLE bill_month FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON bill_month TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON bill_month TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
GRANT SELECT, INSERT,
    UPDATE (state, manifest_key, manifest_etag, rules_version, delivery_id, progress, problem_code, problem_detail, job_id,
            asks, updated_at)
    ON bill_month TO costlens_app;

-- AWS delivers a month up to three times a day. Of a version that no longer counts its totals stay, which tell what
-- changed; its facts go with the transaction that puts the next one in their place.
CREATE FUNCTION forget_superseded_facts(of uuid) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    own uuid := NULLIF(current_setting('costlens.tenant', true), '')::uuid;
    gone bigint;
BEGIN
    DELETE FROM public.bill_daily_fact f
    USING public.bill b
    WHERE f.tenant_id = own AND f.bill_id = of AND b.tenant_id = own AND b.id = of AND b.superseded_at IS NOT NULL;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;
REVOKE ALL ON FUNCTION forget_superseded_facts(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_superseded_facts(uuid) TO costlens_app;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('aws_connection', NULL, 'an ExternalId that was given out is never given out again'),
    ('bill_delivery', NULL, 'tells what AWS changed in a month'),
    ('bill_month', NULL, 'says which delivery of a month was read last');
UPDATE retention SET reason = 'of a delivery from AWS until the next one, of an uploaded version as long as the account'
    WHERE table_name = 'bill_daily_fact';

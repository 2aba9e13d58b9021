-- A bill's file between its arrival and its bill. The row is the truth; the job that reads it is named by `job_id`, and
-- `asks` counts how often one was asked for.
CREATE TABLE bill_upload (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    name text NOT NULL,
    object_key text NOT NULL,
    bytes bigint NOT NULL,
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    state text NOT NULL CHECK (state IN ('received', 'reading', 'published', 'failed', 'duplicate')),
    progress jsonb,
    problem_code text,
    problem_detail text,
    bill_id uuid,
    job_id uuid,
    asks integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, bill_id) REFERENCES bill (tenant_id, id),
    CHECK ((state IN ('received', 'reading')) = (finished_at IS NULL)),
    CHECK ((state IN ('published', 'duplicate')) = (bill_id IS NOT NULL)),
    CHECK ((state = 'failed') = (problem_code IS NOT NULL AND problem_detail IS NOT NULL))
);
CREATE INDEX bill_upload_content ON bill_upload (tenant_id, sha256);
CREATE INDEX bill_upload_unfinished ON bill_upload (id) WHERE finished_at IS NULL;
CREATE INDEX bill_upload_finished ON bill_upload (finished_at) WHERE finished_at IS NOT NULL;

ALTER TABLE bill_upload ENABLE ROW LEVEL SECURITY;
ALTER TABLE bill_upload FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON bill_upload TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON bill_upload TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY system ON bill_upload TO costlens_system USING (true) WITH CHECK (true);

GRANT SELECT, INSERT,
    UPDATE (state, progress, problem_code, problem_detail, bill_id, job_id, asks, updated_at, finished_at)
    ON bill_upload TO costlens_app;
-- The sweeper finds what was left lying, and the nightly purge what is past its time.
GRANT SELECT (tenant_id, id, job_id, asks, updated_at, finished_at), DELETE ON bill_upload TO costlens_system;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('bill_upload', 90, 'what became of an upload is asked about for a quarter');

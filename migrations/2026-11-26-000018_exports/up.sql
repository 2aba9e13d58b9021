-- A file of calls or hours that somebody asked for. The row is the truth; the job that writes the file is named by
-- `job_id`, and `asks` counts how often one was asked for. `permille` is the share of the period that was written.
CREATE TABLE export (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    what text NOT NULL CHECK (what IN ('requests', 'hourly_spend')),
    format text NOT NULL CHECK (format IN ('csv', 'jsonl')),
    filter jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'expired')),
    rows bigint NOT NULL DEFAULT 0,
    permille integer NOT NULL DEFAULT 0 CHECK (permille BETWEEN 0 AND 1000),
    object_key text,
    bytes bigint,
    sha256 bytea CHECK (length(sha256) = 32),
    problem_code text,
    problem_detail text,
    job_id uuid,
    asks integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    finished_at timestamptz,
    expires_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CHECK ((state IN ('queued', 'running')) = (finished_at IS NULL)),
    CHECK ((state IN ('done', 'expired')) = (bytes IS NOT NULL AND sha256 IS NOT NULL AND expires_at IS NOT NULL)),
    CHECK ((state = 'done') = (object_key IS NOT NULL)),
    CHECK ((state = 'failed') = (problem_code IS NOT NULL AND problem_detail IS NOT NULL))
);
CREATE INDEX export_unfinished ON export (id) WHERE finished_at IS NULL;
CREATE INDEX export_kept ON export (expires_at) WHERE state = 'done';
CREATE INDEX export_finished ON export (finished_at) WHERE finished_at IS NOT NULL;

ALTER TABLE export ENABLE ROW LEVEL SECURITY;
ALTER TABLE export FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON export TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON export TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY system ON export TO costlens_system USING (true) WITH CHECK (true);

GRANT SELECT, INSERT,
    UPDATE (state, rows, permille, object_key, bytes, sha256, problem_code, problem_detail, job_id, asks, updated_at,
            finished_at, expires_at)
    ON export TO costlens_app;
-- The sweeper finds what was left lying and what is past its time; the nightly purge removes rows.
GRANT SELECT (tenant_id, id, state, object_key, job_id, asks, updated_at, finished_at, expires_at), DELETE
    ON export TO costlens_system;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('export', 90, 'what became of an export is asked about for a quarter; its file goes after seven days');

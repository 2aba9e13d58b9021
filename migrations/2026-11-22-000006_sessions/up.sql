CREATE TABLE sign_in_link (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    hash bytea NOT NULL CONSTRAINT sign_in_link_hash UNIQUE CHECK (length(hash) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (tenant_id, hash)
);

ALTER TABLE sign_in_link ENABLE ROW LEVEL SECURITY;
ALTER TABLE sign_in_link FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON sign_in_link TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY system ON sign_in_link TO costlens_system USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, UPDATE (used_at), DELETE ON sign_in_link TO costlens_system;

CREATE TABLE session (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    hash bytea NOT NULL CONSTRAINT session_hash UNIQUE CHECK (length(hash) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);

ALTER TABLE session ENABLE ROW LEVEL SECURITY;
ALTER TABLE session FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON session TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY system ON session TO costlens_system USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, UPDATE (ended_at), DELETE ON session TO costlens_system;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('sign_in_link', 30, 'a used link shows who signed in when'),
    ('session', 30, 'an ended session shows who was signed in when');

-- People. A person is known by who vouches for them and under which name there (issuer, subject), never by an address:
-- addresses change hands. None of these tables is a tenant's: a person may be a member of several.
CREATE TABLE user_account (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    -- Where mail goes; also what a password is entered with, where there is one.
    email text NOT NULL,
    -- bcrypt. NULL: this person signs in in other ways only.
    password_hash text,
    password_changed_at timestamptz,
    -- The data key under which the second factor is sealed, wrapped by the master key as a tenant's is.
    wrapped_key bytea NOT NULL,
    totp_secret bytea,
    -- From when on the second factor is asked for.
    totp_confirmed_at timestamptz,
    -- The last step of time whose code was used: a code works once.
    totp_last_step bigint,
    created_at timestamptz NOT NULL,
    disabled_at timestamptz
);
-- What is entered names one person. Whoever another service vouches for may have the same address.
CREATE UNIQUE INDEX user_account_login ON user_account (lower(email)) WHERE password_hash IS NOT NULL;
CREATE INDEX user_account_email ON user_account (lower(email));

CREATE TABLE user_identity (
    issuer text NOT NULL,
    subject text NOT NULL,
    user_id uuid NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX user_identity_user ON user_identity (user_id);

CREATE TABLE recovery_code (
    user_id uuid NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    hash bytea NOT NULL CHECK (length(hash) = 32),
    used_at timestamptz,
    PRIMARY KEY (user_id, hash)
);

-- A link in a mail that proves that somebody reads an address, and the mail itself. The token is no column: it is made
-- of the row's id when the mail is written.
CREATE TABLE user_link (
    id uuid PRIMARY KEY,
    purpose text NOT NULL CHECK (purpose IN ('registration', 'password_reset', 'account_exists', 'password_changed')),
    email text NOT NULL,
    user_id uuid REFERENCES user_account (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    mail_state text NOT NULL DEFAULT 'queued'
        CHECK (mail_state IN ('queued', 'sending', 'sent', 'unknown', 'refused', 'expired')),
    mail_doubts integer NOT NULL DEFAULT 0
);
CREATE INDEX user_link_expiry ON user_link (expires_at);
CREATE INDEX user_link_user ON user_link (user_id);

-- What the browser trades for a session after somebody else vouched for its person: once, within a minute.
CREATE TABLE exchange_code (
    hash bytea PRIMARY KEY CHECK (length(hash) = 32),
    -- SHA-256 of what only the browser has that began.
    browser_hash bytea NOT NULL CHECK (length(browser_hash) = 32),
    user_id uuid NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    method text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX exchange_code_expiry ON exchange_code (expires_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON user_account, user_identity, recovery_code, user_link, exchange_code
    TO costlens_system;

-- Who belongs to a tenant, and as what.
CREATE TABLE member (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    user_id uuid NOT NULL REFERENCES user_account (id),
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'analyst', 'member', 'viewer')),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
);
CREATE INDEX member_user ON member (user_id);
ALTER TABLE member ENABLE ROW LEVEL SECURITY;
ALTER TABLE member FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON member TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON member TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY system ON member TO costlens_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE (role), DELETE ON member TO costlens_app;
GRANT SELECT, INSERT ON member TO costlens_system;

-- A tenant sees the names of its own members, and nothing of how they sign in.
ALTER TABLE user_account ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_account FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON user_account TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY system ON user_account TO costlens_system USING (true) WITH CHECK (true);
CREATE POLICY fellow ON user_account FOR SELECT TO costlens_app
    USING (EXISTS (SELECT FROM member m WHERE m.user_id = user_account.id));
GRANT SELECT (id, name, email, totp_confirmed_at, disabled_at) ON user_account TO costlens_app;

CREATE TABLE invitation (
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    id uuid NOT NULL,
    email text NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'analyst', 'member', 'viewer')),
    invited_by text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    revoked_at timestamptz,
    mail_state text NOT NULL DEFAULT 'queued'
        CHECK (mail_state IN ('queued', 'sending', 'sent', 'unknown', 'refused', 'expired')),
    mail_doubts integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, id)
);
-- One open invitation for an address.
CREATE UNIQUE INDEX invitation_open ON invitation (tenant_id, lower(email))
    WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX invitation_expiry ON invitation (expires_at);
-- Whoever is vouched for by this address is asked by them.
CREATE INDEX invitation_email ON invitation (email) WHERE accepted_at IS NULL AND revoked_at IS NULL;
ALTER TABLE invitation ENABLE ROW LEVEL SECURITY;
ALTER TABLE invitation FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON invitation TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant ON invitation TO costlens_app
    USING (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY system ON invitation TO costlens_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE (revoked_at, mail_state, mail_doubts) ON invitation TO costlens_app;
GRANT SELECT, UPDATE (accepted_at, mail_state, mail_doubts), DELETE ON invitation TO costlens_system;

-- Whose session it is, and how it came about. Without a user: opened by a link from the operator's command line.
ALTER TABLE session
    ADD COLUMN user_id uuid REFERENCES user_account (id) ON DELETE CASCADE,
    ADD COLUMN method text NOT NULL DEFAULT 'link',
    -- When the person last proved who it is, and whether by two factors: dangerous changes ask for it anew.
    ADD COLUMN proven_at timestamptz,
    ADD COLUMN two_factors boolean NOT NULL DEFAULT false,
    -- The sign-in that this session continues: its first session's id.
    ADD COLUMN sign_in_id uuid,
    -- SHA-256 of what continues the sign-in, once, and until when at most.
    ADD COLUMN refresh_hash bytea CONSTRAINT session_refresh_hash UNIQUE CHECK (length(refresh_hash) = 32),
    ADD COLUMN refresh_used_at timestamptz,
    ADD COLUMN refresh_expires_at timestamptz,
    -- The session at whoever vouched (Clerk's `sid`): what it says of that one holds for this.
    ADD COLUMN outer_session text,
    -- Somebody of the vouching service acts as the person: it reads and changes nothing.
    ADD COLUMN read_only boolean NOT NULL DEFAULT false,
    -- The browser, in its own words, so that its person knows it again.
    ADD COLUMN browser text;
CREATE INDEX session_by_id ON session (id);
CREATE INDEX session_by_user ON session (user_id);
CREATE INDEX session_by_sign_in ON session (sign_in_id);
CREATE INDEX session_by_outer ON session (outer_session) WHERE outer_session IS NOT NULL;
GRANT UPDATE (ended_at, proven_at, two_factors, refresh_used_at) ON session TO costlens_system;
GRANT SELECT (tenant_id, id, ended_at, user_id) ON session TO costlens_app;

-- Whether everybody of the tenant signs in anew after an hour, whatever its role: its own wish, or because it let us
-- into its AWS account or came by way of the Marketplace.
ALTER TABLE tenant ADD COLUMN one_hour_sign_in boolean NOT NULL DEFAULT false;
GRANT UPDATE (name, one_hour_sign_in) ON tenant TO costlens_app;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('member', NULL, 'as long as the account, or until removed'),
    ('invitation', 30, 'an ended invitation shows who was asked by whom');

-- Members go with their tenant, and with them the people who belong to no other.
CREATE OR REPLACE FUNCTION erase_tenant_rows(of uuid, wanted text, most integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    erased uuid := public.erasing_tenant(of);
    removed bigint;
BEGIN
    IF wanted IN ('closure', 'audit_head') OR NOT EXISTS (
        SELECT FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
        WHERE c.relnamespace = 'public'::regnamespace AND c.relname = wanted AND c.relkind IN ('r', 'p')
    ) THEN
        RAISE EXCEPTION '% is no tenant table', wanted
            USING ERRCODE = 'check_violation', CONSTRAINT = 'erasure_table';
    END IF;
    IF wanted = 'member' THEN
        WITH gone AS (
            DELETE FROM public.member WHERE tenant_id = erased AND user_id IN (
                SELECT user_id FROM public.member WHERE tenant_id = erased LIMIT most)
            RETURNING user_id
        ), people AS (
            DELETE FROM public.user_account u USING gone
            WHERE u.id = gone.user_id
              AND NOT EXISTS (SELECT FROM public.member m WHERE m.user_id = u.id AND m.tenant_id <> erased)
            RETURNING u.email
        ), links AS (
            DELETE FROM public.user_link WHERE lower(email) IN (SELECT lower(people.email) FROM people)
        )
        SELECT count(*) INTO removed FROM gone;
        RETURN removed;
    END IF;
    -- A row's place is its partition and its ctid.
    EXECUTE format(
        'DELETE FROM public.%1$I AS t USING (SELECT tableoid, ctid FROM public.%1$I WHERE tenant_id = $1 LIMIT $2) AS few
         WHERE t.tenant_id = $1 AND t.tableoid = few.tableoid AND t.ctid = few.ctid', wanted)
    USING erased, most;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END
$$;

-- What a key may be used for, until when, and the secret that a roll left working for a while.
ALTER TABLE api_key
    ADD COLUMN scopes text[] NOT NULL DEFAULT ARRAY['proxy', 'requests.read', 'spend.read', 'bills.read']
        CHECK (scopes <@ ARRAY['proxy', 'requests.read', 'spend.read', 'bills.read'] AND cardinality(scopes) > 0),
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN previous_hash bytea CONSTRAINT api_key_previous_hash UNIQUE CHECK (length(previous_hash) = 32),
    ADD COLUMN previous_until timestamptz,
    ADD COLUMN rolled_at timestamptz,
    ADD CHECK ((previous_hash IS NULL) = (previous_until IS NULL));

GRANT UPDATE (scopes, expires_at, hash, hint, previous_hash, previous_until, rolled_at) ON api_key TO costlens_app;

-- The nightly purge reads how long rows are kept, and finds the ones that are past it a few at a time.
GRANT SELECT ON retention TO costlens_system;
GRANT SELECT (operation, key) ON idempotency_key TO costlens_system;
CREATE INDEX session_expiry ON session (expires_at);
CREATE INDEX sign_in_link_expiry ON sign_in_link (expires_at);
CREATE INDEX idempotency_key_created ON idempotency_key (created_at);

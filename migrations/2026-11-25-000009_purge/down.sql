DROP INDEX idempotency_key_created;
DROP INDEX sign_in_link_expiry;
DROP INDEX session_expiry;
REVOKE SELECT (operation, key) ON idempotency_key FROM costlens_system;
REVOKE SELECT ON retention FROM costlens_system;

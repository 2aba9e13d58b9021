DELETE FROM retention WHERE table_name IN ('sso_provider', 'sso_domain', 'sso_identity');
REVOKE SELECT (outer_session) ON session FROM costlens_app;
ALTER TABLE exchange_code DROP COLUMN sso_provider_id;
DROP TABLE sso_identity, sso_domain, sso_provider;

-- When a domain's record was last looked for, whatever came of it: the one that was left out longest is the next.
ALTER TABLE sso_domain ADD COLUMN looked_at timestamptz;
GRANT UPDATE (looked_at) ON sso_domain TO costlens_app;
CREATE INDEX sso_domain_looked_at ON sso_domain (looked_at NULLS FIRST, id) WHERE proven_at IS NOT NULL;

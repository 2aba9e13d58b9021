ALTER TABLE sso_domain DROP COLUMN looked_at;

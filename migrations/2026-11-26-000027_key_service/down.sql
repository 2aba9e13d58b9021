DROP TABLE service_key;
REVOKE UPDATE (seals) ON tenant_key FROM costlens_system;
ALTER TABLE tenant_key DROP COLUMN seals;

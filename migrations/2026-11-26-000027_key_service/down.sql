DELETE FROM retention WHERE table_name = 'service_key';
DROP TABLE service_key;
REVOKE UPDATE (seals) ON tenant_key FROM costlens_system;
ALTER TABLE tenant_key DROP COLUMN seals;

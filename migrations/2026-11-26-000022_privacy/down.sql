ALTER TABLE request DROP COLUMN body;
ALTER TABLE api_key DROP COLUMN zero_retention;
DELETE FROM retention WHERE table_name IN ('tenant_privacy', 'subject_key');
DROP TABLE subject_key;
DROP TABLE tenant_privacy;

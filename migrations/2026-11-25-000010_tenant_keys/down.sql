-- What is sealed under these keys is lost with them.
DELETE FROM retention WHERE table_name = 'tenant_key';
DROP TABLE tenant_key;

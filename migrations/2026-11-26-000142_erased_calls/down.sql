DROP FUNCTION erased_tenants(uuid[]);
DROP INDEX erasure_tenant_hash;

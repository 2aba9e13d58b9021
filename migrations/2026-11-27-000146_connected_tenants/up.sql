-- Who is let into an AWS account signs in anew after an hour. That is looked up where memberships are read, and no flag of
-- the tenant's says it.
GRANT SELECT (revoked_at) ON aws_connection TO costlens_system;

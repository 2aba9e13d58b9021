-- How many texts each data key sealed: one that sealed a billion gets a successor, whatever its age.
ALTER TABLE tenant_key ADD COLUMN seals bigint NOT NULL DEFAULT 0 CHECK (seals >= 0);
GRANT UPDATE (seals) ON tenant_key TO costlens_system;

-- Keys of the installation itself, wrapped by a key service; empty where the operator gives a master key. Not a
-- tenant's.
CREATE TABLE service_key (
    name text PRIMARY KEY,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE (wrapped) ON service_key TO costlens_system;

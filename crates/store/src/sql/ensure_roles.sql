-- The roles of the doors. They belong to the whole cluster, so each may exist already, and every statement is
-- one that does nothing the second time.
DO $$
DECLARE
    door text;
BEGIN
    FOREACH door IN ARRAY ARRAY['costlens_app', 'costlens_writer', 'costlens_system', 'costlens_worker'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = door) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', door);
        END IF;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'costlens_runtime') THEN
        CREATE ROLE costlens_runtime LOGIN NOINHERIT;
    END IF;
    FOREACH door IN ARRAY ARRAY['costlens_app', 'costlens_writer', 'costlens_system', 'costlens_worker'] LOOP
        IF NOT EXISTS (
            SELECT FROM pg_auth_members
            WHERE roleid = door::regrole AND member = 'costlens_runtime'::regrole
        ) THEN
            EXECUTE format('GRANT %I TO costlens_runtime', door);
        END IF;
    END LOOP;
END
$$;

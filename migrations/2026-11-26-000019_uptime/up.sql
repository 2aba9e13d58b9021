-- What probes of the service found, and what follows from it. No tenant's data stands in it, and no address: a component
-- is a name. A minute has one result for each component, whoever wrote it first; a minute without one is unknown.
CREATE TABLE status_minute (
    component text NOT NULL CHECK (component ~ '^[a-z0-9_-]{1,40}(/[a-z0-9_-]{1,40})?$'),
    minute timestamptz NOT NULL CHECK (minute = date_trunc('minute', minute, 'UTC')),
    outcome text NOT NULL CHECK (outcome IN ('ok', 'degraded', 'down', 'unknown')),
    latency_ms integer,
    PRIMARY KEY (component, minute)
);
CREATE INDEX status_minute_age ON status_minute (minute);
GRANT SELECT, INSERT, DELETE ON status_minute TO costlens_system;

-- How many minutes of a UTC day had which result; written in the statement that writes the minute. What is missing to
-- the day's minutes is unknown.
CREATE TABLE status_day (
    component text NOT NULL,
    day date NOT NULL,
    ok integer NOT NULL,
    degraded integer NOT NULL,
    down integer NOT NULL,
    PRIMARY KEY (component, day),
    CHECK (ok >= 0 AND degraded >= 0 AND down >= 0 AND ok + degraded + down <= 1440)
);
GRANT SELECT, INSERT, UPDATE (ok, degraded, down) ON status_day TO costlens_system;

-- A stretch of minutes in which a component was down. Nothing of a row ever changes but its end, once.
CREATE TABLE status_incident (
    id uuid PRIMARY KEY,
    component text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz CHECK (ended_at > started_at),
    UNIQUE (component, started_at)
);
CREATE UNIQUE INDEX status_incident_open ON status_incident (component) WHERE ended_at IS NULL;
GRANT SELECT, INSERT, UPDATE (ended_at) ON status_incident TO costlens_system;
CREATE FUNCTION status_incident_ends_once() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF OLD.ended_at IS NOT NULL OR (NEW.id, NEW.component, NEW.started_at) IS DISTINCT FROM (OLD.id, OLD.component, OLD.started_at) THEN
        RAISE EXCEPTION 'the incident % is over', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'status_incident_ends_once';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER status_incident_ends_once BEFORE UPDATE ON status_incident
    FOR EACH ROW EXECUTE FUNCTION status_incident_ends_once();

-- What the probe of the database writes and reads.
CREATE TABLE status_beat (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE (at) ON status_beat TO costlens_system;

INSERT INTO retention (table_name, keep_days, reason) VALUES
    ('status_minute', 35, 'a month of detail; days and incidents are kept for good');

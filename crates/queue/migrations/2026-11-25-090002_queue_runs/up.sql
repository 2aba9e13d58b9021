-- Durable runs: a job that remembers which of its named steps are done.
CREATE TABLE queue.run (
    id          uuid PRIMARY KEY,
    flow        text NOT NULL,
    version     int NOT NULL,
    tenant      uuid,
    key         text,
    state       text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed', 'cancelled')),
    input       jsonb NOT NULL,
    deadline_at timestamptz,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at     timestamptz
);
CREATE UNIQUE INDEX run_key ON queue.run (flow, key) WHERE key IS NOT NULL;
CREATE INDEX run_open ON queue.run (flow, deadline_at) WHERE state = 'running';
CREATE INDEX run_finished ON queue.run (done_at) WHERE state <> 'running';
CREATE INDEX run_tenant ON queue.run (tenant, id) WHERE tenant IS NOT NULL;

-- A step that is done, written in the transaction of its effect.
CREATE TABLE queue.step (
    run     uuid NOT NULL REFERENCES queue.run ON DELETE CASCADE,
    name    text NOT NULL,
    result  jsonb NOT NULL DEFAULT 'null',
    done_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run, name)
);

-- A message to a run. The first of a name counts; the same again changes nothing.
CREATE TABLE queue.signal (
    run     uuid NOT NULL REFERENCES queue.run ON DELETE CASCADE,
    name    text NOT NULL,
    payload jsonb NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run, name)
);

-- What was done outside: `intended` before the call, `sent` after it. What stays `intended` or `unknown` may have
-- happened and is never repeated without asking the other side.
CREATE TABLE queue.effect (
    target      text NOT NULL,
    key         text NOT NULL,
    run         uuid NOT NULL REFERENCES queue.run ON DELETE CASCADE,
    state       text NOT NULL CHECK (state IN ('intended', 'sent', 'unknown', 'not_sent')),
    provider_id text,
    result      jsonb NOT NULL DEFAULT 'null',
    error       text,
    intended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at  timestamptz,
    PRIMARY KEY (target, key)
);
CREATE INDEX effect_run ON queue.effect (run);

-- A run ends, and comes back to life, with its job.
CREATE FUNCTION queue.run_follows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE queue.run AS r
       SET state = CASE NEW.status WHEN 'done' THEN 'done' WHEN 'dead' THEN 'failed'
                                   WHEN 'cancelled' THEN 'cancelled' ELSE 'running' END,
           done_at = NEW.done_at
     WHERE r.id = NEW.run;
    RETURN NULL;
END $$;
CREATE TRIGGER job_run_follows AFTER UPDATE OF status ON queue.job FOR EACH ROW
    WHEN (NEW.run IS NOT NULL AND NEW.status IS DISTINCT FROM OLD.status
          AND (NEW.status IN ('done', 'dead', 'cancelled') OR OLD.status IN ('dead', 'cancelled')))
    EXECUTE FUNCTION queue.run_follows();

-- Sends a signal to a run, of the tenant's where one is given, and wakes it if it is parked. The count on the job's own row lets a run that is just about
-- to park see that a signal came. Runs with its owner's rights, so that who may only enqueue may also signal.
CREATE FUNCTION queue.send_signal(p_run uuid, p_name text, p_payload jsonb, p_tenant uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    job record;
BEGIN
    SELECT j.id, j.queue, j.status INTO job FROM queue.job AS j
     WHERE j.run = p_run AND j.status IN ('pending', 'running') AND (p_tenant IS NULL OR j.tenant = p_tenant)
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO queue.signal (run, name, payload) VALUES (p_run, p_name, p_payload) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN true;
    END IF;
    UPDATE queue.job AS j
       SET signals = j.signals + 1,
           run_at = CASE WHEN j.waits_for = p_name THEN clock_timestamp() ELSE j.run_at END,
           waits_for = CASE WHEN j.waits_for = p_name THEN NULL ELSE j.waits_for END
     WHERE j.id = job.id;
    PERFORM pg_notify('queue_wake', job.queue);
    RETURN true;
END $$;
REVOKE ALL ON FUNCTION queue.send_signal FROM PUBLIC;

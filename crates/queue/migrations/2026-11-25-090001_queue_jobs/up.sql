-- Jobs, the sessions of those who work on them, and schedules. Every time below is the database's own
-- (clock_timestamp), because leases and backoff compare moments of different machines.
CREATE SCHEMA queue;

-- One per running worker. Its holder keeps the advisory lock `lock_key` on a connection of its own: a free lock
-- means that the holder has died, within a moment of its death.
CREATE TABLE queue.session (
    id            uuid PRIMARY KEY,
    queue         text NOT NULL,
    worker        text NOT NULL,
    lock_key      bigint NOT NULL,
    grace         interval NOT NULL,
    silence       interval NOT NULL,
    started_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen     timestamptz NOT NULL DEFAULT clock_timestamp(),
    suspect_since timestamptz,
    -- Its jobs were taken back; the row stays only until the last of them is.
    given_up      boolean NOT NULL DEFAULT false
);

CREATE TABLE queue.job (
    id               uuid PRIMARY KEY,
    queue            text NOT NULL,
    tenant           uuid,
    -- Whom a claim takes turns between: jobs of nobody share one lane.
    lane             uuid NOT NULL GENERATED ALWAYS AS
                         (coalesce(tenant, '00000000-0000-0000-0000-000000000000'::uuid)) STORED,
    args             jsonb NOT NULL,
    metadata         jsonb NOT NULL DEFAULT '{}',
    status           text NOT NULL DEFAULT 'pending'
                         CHECK (status IN ('pending', 'running', 'done', 'dead', 'cancelled')),
    attempts         int NOT NULL DEFAULT 0,
    max_attempts     int NOT NULL CHECK (max_attempts > 0),
    run_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    priority         int NOT NULL DEFAULT 0,
    key              text,
    expires_at       timestamptz,
    error            text,
    error_class      text CHECK (error_class IN ('transient', 'throttled', 'customer_action', 'bug', 'expired')),
    error_code       text,
    -- What became of each attempt that did not succeed: the first and the latest.
    story            jsonb NOT NULL DEFAULT '[]',
    progress         jsonb,
    cancel_requested boolean NOT NULL DEFAULT false,
    -- The signal that a parked run waits for, and how many signals it was ever sent.
    waits_for        text,
    signals          int NOT NULL DEFAULT 0,
    -- Who runs it, and the how-manieth claim that is: together the fence of every outcome.
    session          uuid,
    epoch            bigint NOT NULL DEFAULT 0,
    trace            text,
    parent           uuid,
    run              uuid,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at       timestamptz,
    done_at          timestamptz,
    CHECK ((status = 'running') = (session IS NOT NULL))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

CREATE UNIQUE INDEX job_key ON queue.job (queue, key) WHERE key IS NOT NULL;
CREATE INDEX job_claim ON queue.job (queue, priority DESC, lane, run_at, id) WHERE status = 'pending';
CREATE INDEX job_due ON queue.job (queue, run_at) WHERE status = 'pending';
CREATE INDEX job_running ON queue.job (queue, lane) WHERE status = 'running';
CREATE INDEX job_session ON queue.job (session) WHERE status = 'running';
CREATE INDEX job_finished ON queue.job (status, done_at) WHERE status IN ('done', 'dead', 'cancelled');
CREATE INDEX job_tenant ON queue.job (tenant, id) WHERE tenant IS NOT NULL;
CREATE INDEX job_run ON queue.job (run) WHERE run IS NOT NULL;

-- One notification per statement and queue, with the queue's name only.
CREATE FUNCTION queue.say_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('queue_wake', added.queue)
       FROM (SELECT DISTINCT new_jobs.queue FROM new_jobs WHERE new_jobs.status = 'pending') AS added;
    RETURN NULL;
END $$;
CREATE TRIGGER job_added AFTER INSERT ON queue.job
    REFERENCING NEW TABLE AS new_jobs FOR EACH STATEMENT EXECUTE FUNCTION queue.say_added();

-- Appends to a story of at most twenty entries. The first one is kept: it is often the one that tells.
CREATE FUNCTION queue.told(story jsonb, entry jsonb) RETURNS jsonb IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE
        WHEN entry IS NULL THEN story
        WHEN jsonb_array_length(story) >= 20 THEN (story - 1) || jsonb_build_array(entry)
        ELSE story || jsonb_build_array(entry)
    END
$$;

-- The state as people are shown it.
CREATE FUNCTION queue.state_of(status text, waits_for text, run_at timestamptz, attempts int)
RETURNS text STABLE LANGUAGE sql AS $$
    SELECT CASE
        WHEN status <> 'pending' THEN status
        WHEN waits_for IS NOT NULL THEN 'waiting'
        WHEN run_at <= clock_timestamp() THEN 'ready'
        WHEN attempts > 0 THEN 'retrying'
        ELSE 'scheduled'
    END
$$;

-- The lane of a queue that was served last, where there are more lanes than a claim has room for.
CREATE TABLE queue.turn (
    queue text PRIMARY KEY,
    lane  uuid NOT NULL
);

-- Gives up to `p_limit` due jobs of a queue to a session: priorities first, then tenants in turn, none above `p_cap`
-- running. One claimer of a queue at a time, so that the cap holds; each statement sees what the one before it did.
-- Raises `no_session` where the session has been given up meanwhile.
--
-- However many jobs wait, a claim reads about as many as it takes: lanes are found by hopping over the index, and
-- where there are more lanes than room, it goes on from the lane that was served last and stops when it has enough. Most
-- of these lanes may only have jobs that are due later, such as runs that sleep; where few jobs are due it looks at those
-- alone.
CREATE FUNCTION queue.claim(p_queue text, p_session uuid, p_limit int, p_cap int)
RETURNS SETOF queue.job LANGUAGE plpgsql
-- A plan that was made while the queue was empty, or before its first ANALYZE, and kept, must not read all that waits
-- when there is much: what is asked for in the order of the index job_claim may be had by that index alone.
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_incremental_sort = off AS $$
DECLARE
    v_now    timestamptz;
    v_room   int := p_limit;
    v_level  int;
    v_lanes  int;
    v_due    int;
    v_last   uuid;
    v_picked uuid[];
    v_taken  int;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('queue.claim/' || p_queue, 0));
    PERFORM FROM queue.session AS s WHERE s.id = p_session AND NOT s.given_up FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no_session' USING ERRCODE = 'QU001';
    END IF;
    v_now := clock_timestamp();
    PERFORM FROM queue.job AS j
      WHERE j.queue = p_queue AND j.status = 'pending' AND j.run_at <= v_now LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT j.priority INTO v_level FROM queue.job AS j
     WHERE j.queue = p_queue AND j.status = 'pending' ORDER BY j.priority DESC LIMIT 1;
    WHILE v_level IS NOT NULL AND v_room > 0 LOOP
        SELECT count(*) INTO v_lanes
          FROM (SELECT FROM queue.lanes(p_queue, v_level, NULL) LIMIT v_room + 1) AS few;
        IF v_lanes > v_room THEN
            -- One job of each, from the lane after the last one on.
            SELECT t.lane INTO v_last FROM queue.turn AS t WHERE t.queue = p_queue;
            IF v_due IS NULL THEN
                SELECT count(*) INTO v_due
                  FROM (SELECT FROM queue.job AS j
                         WHERE j.queue = p_queue AND j.status = 'pending' AND j.run_at <= v_now
                         ORDER BY j.run_at LIMIT 1001) AS few;
            END IF;
            IF v_due <= 1000 THEN
                -- This level and all below it at once: whoever has the room for one more, in turns.
                SELECT array_agg(chosen.id ORDER BY chosen.n),
                       (array_agg(chosen.lane ORDER BY chosen.n))[least(v_room, count(*))::int]
                  INTO v_picked, v_last
                  FROM (WITH due AS MATERIALIZED (
                                 SELECT j.id, j.lane, j.priority, j.run_at FROM queue.job AS j
                                  WHERE j.queue = p_queue AND j.status = 'pending' AND j.run_at <= v_now
                                  ORDER BY j.run_at LIMIT 1001),
                             l AS MATERIALIZED (
                                 SELECT x.lane, queue.running(p_queue, x.lane) AS running
                                   FROM (SELECT DISTINCT due.lane FROM due) AS x),
                             lined AS (
                                 SELECT d.id, d.lane, d.priority, d.run_at, l.running,
                                        row_number() OVER (PARTITION BY d.lane
                                                           ORDER BY d.priority DESC, d.run_at, d.id) AS turn
                                   FROM due AS d JOIN l ON l.lane = d.lane WHERE d.priority <= v_level)
                        SELECT c.id, c.lane,
                               row_number() OVER (ORDER BY c.priority DESC, c.turn,
                                                  coalesce(c.lane <= v_last, false), c.lane) AS n
                          FROM lined AS c WHERE c.running + c.turn <= p_cap
                         ORDER BY n LIMIT v_room + 8) AS chosen;
                IF v_last IS NOT NULL THEN
                    INSERT INTO queue.turn AS t (queue, lane) VALUES (p_queue, v_last)
                        ON CONFLICT (queue) DO UPDATE SET lane = excluded.lane;
                END IF;
                RETURN QUERY SELECT * FROM queue.take(v_picked, p_session, v_room);
                RETURN;
            END IF;
            SELECT array_agg(chosen.id ORDER BY chosen.n), (array_agg(chosen.lane ORDER BY chosen.n DESC))[1]
              INTO v_picked, v_last
              FROM (SELECT first.id, first.lane, row_number() OVER () AS n
                      FROM (SELECT d.id, l.lane
                              FROM (SELECT a.lane FROM queue.lanes(p_queue, v_level, v_last) AS a
                                    UNION ALL
                                    SELECT z.lane FROM queue.lanes(p_queue, v_level, NULL) AS z
                                     WHERE z.lane <= v_last) AS l
                             CROSS JOIN LATERAL (
                                   SELECT j.id FROM queue.job AS j
                                    WHERE j.queue = p_queue AND j.status = 'pending' AND j.priority = v_level
                                      AND j.lane = l.lane AND j.run_at <= v_now
                                      AND queue.running(p_queue, l.lane) < p_cap
                                    ORDER BY j.run_at, j.id LIMIT 1) AS d
                             LIMIT v_room) AS first) AS chosen;
            IF v_last IS NOT NULL THEN
                INSERT INTO queue.turn AS t (queue, lane) VALUES (p_queue, v_last)
                    ON CONFLICT (queue) DO UPDATE SET lane = excluded.lane;
            END IF;
            RETURN QUERY SELECT * FROM queue.take(v_picked, p_session, v_room);
            GET DIAGNOSTICS v_taken = ROW_COUNT;
            v_room := v_room - v_taken;
        END IF;
        IF v_room > 0 THEN
            -- Who has least running comes first, and each in turn. A few more than there is room for, because some
            -- may be locked.
            SELECT array_agg(chosen.id ORDER BY chosen.turn, chosen.run_at, chosen.id) INTO v_picked
              -- Counted once a lane, not once a row.
              FROM (WITH l AS MATERIALIZED (SELECT a.lane, queue.running(p_queue, a.lane) AS running
                                              FROM queue.lanes(p_queue, v_level, NULL) AS a)
                    SELECT d.id, d.turn, d.run_at FROM l
                     CROSS JOIN LATERAL (
                           SELECT j.id, j.run_at, l.running + row_number() OVER (ORDER BY j.run_at, j.id) AS turn
                             FROM (SELECT q.id, q.run_at FROM queue.job AS q
                                    WHERE q.queue = p_queue AND q.status = 'pending' AND q.priority = v_level
                                      AND q.lane = l.lane AND q.run_at <= v_now
                                    ORDER BY q.run_at, q.id
                                    LIMIT greatest(0, least(v_room + 8, p_cap - l.running))) AS j) AS d
                     ORDER BY d.turn, d.run_at, d.id LIMIT v_room + 8) AS chosen;
            RETURN QUERY SELECT * FROM queue.take(v_picked, p_session, v_room);
            GET DIAGNOSTICS v_taken = ROW_COUNT;
            v_room := v_room - v_taken;
        END IF;
        SELECT j.priority INTO v_level FROM queue.job AS j
         WHERE j.queue = p_queue AND j.status = 'pending' AND j.priority < v_level
         ORDER BY j.priority DESC LIMIT 1;
    END LOOP;
END $$;

-- The lanes of a queue that have pending jobs of a priority, in order, after a lane or from the first.
CREATE FUNCTION queue.lanes(p_queue text, p_level int, p_after uuid) RETURNS TABLE (lane uuid)
STABLE LANGUAGE sql AS $$
    WITH RECURSIVE hop (lane) AS (
        (SELECT j.lane FROM queue.job AS j
          WHERE j.queue = p_queue AND j.status = 'pending' AND j.priority = p_level
            AND (p_after IS NULL OR j.lane > p_after)
          ORDER BY j.lane LIMIT 1)
        UNION ALL
        SELECT (SELECT j.lane FROM queue.job AS j
                 WHERE j.queue = p_queue AND j.status = 'pending' AND j.priority = p_level AND j.lane > hop.lane
                 ORDER BY j.lane LIMIT 1)
          FROM hop WHERE hop.lane IS NOT NULL
    )
    SELECT hop.lane FROM hop WHERE hop.lane IS NOT NULL
$$;

-- How many jobs of a lane run.
CREATE FUNCTION queue.running(p_queue text, p_lane uuid) RETURNS int STABLE LANGUAGE sql AS $$
    SELECT count(*)::int FROM queue.job AS j
     WHERE j.queue = p_queue AND j.lane = p_lane AND j.status = 'running'
$$;

-- Makes the first `p_room` of these pending jobs a session's. What somebody else holds a lock on, such as who cancels
-- it, is left.
CREATE FUNCTION queue.take(p_jobs uuid[], p_session uuid, p_room int) RETURNS SETOF queue.job LANGUAGE sql AS $$
    WITH picked AS (
        SELECT j.id FROM unnest(p_jobs) WITH ORDINALITY AS o (id, n) JOIN queue.job AS j ON j.id = o.id
         WHERE j.status = 'pending' ORDER BY o.n LIMIT p_room FOR NO KEY UPDATE OF j SKIP LOCKED
    )
    UPDATE queue.job AS j
       SET status = 'running', attempts = j.attempts + 1, epoch = j.epoch + 1, session = p_session,
           started_at = clock_timestamp(), waits_for = NULL
      FROM picked WHERE j.id = picked.id
    RETURNING j.*
$$;

-- Marks sessions whose lock is free, clears those whose lock is held again, and, where `p_take` says so, takes the
-- jobs of the dead ones back: suspect for longer than their grace, or silent for longer than they promised to be.
-- A crash counts as an attempt, so that a job that kills its worker does not do so for ever.
--
-- Waits for nobody: a worker that was frozen between a statement and its COMMIT holds locks on rows, and must not keep
-- the jobs of others. What is locked is left until the next look, and its session with it.
CREATE FUNCTION queue.take_back(p_take boolean) RETURNS TABLE (worker text, jobs bigint) LANGUAGE plpgsql
-- Plans that were made before the first ANALYZE must not read all that waits.
SET enable_seqscan = off AS $$
DECLARE
    dead record;
    taken bigint;
BEGIN
    UPDATE queue.session AS s
       SET suspect_since = CASE WHEN seen.held THEN NULL ELSE clock_timestamp() END
      FROM (SELECT o.id, looked.held
              FROM queue.session AS o
             CROSS JOIN LATERAL (SELECT EXISTS (
                   SELECT FROM pg_locks AS l
                    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
                      AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
                      AND l.classid = ((o.lock_key >> 32) & 4294967295)::oid
                      AND l.objid = (o.lock_key & 4294967295)::oid) AS held) AS looked
             WHERE looked.held <> (o.suspect_since IS NULL)
               FOR NO KEY UPDATE OF o SKIP LOCKED) AS seen
     WHERE seen.id = s.id;
    IF NOT p_take THEN
        RETURN;
    END IF;
    FOR dead IN
        SELECT s.id, s.worker FROM queue.session AS s
         WHERE s.suspect_since < clock_timestamp() - s.grace OR s.last_seen < clock_timestamp() - s.silence
            OR s.given_up
           FOR UPDATE SKIP LOCKED
    LOOP
        taken := queue.give_back(dead.id, dead.worker);
        DELETE FROM queue.session AS s
         WHERE s.id = dead.id
           AND NOT EXISTS (SELECT FROM queue.job AS j WHERE j.session = dead.id AND j.status = 'running');
        IF NOT FOUND THEN
            UPDATE queue.session AS s SET given_up = true WHERE s.id = dead.id AND NOT s.given_up;
        END IF;
        IF FOUND OR taken > 0 THEN
            worker := dead.worker;
            jobs := taken;
            RETURN NEXT;
        END IF;
    END LOOP;
    -- A net: no job may lie under a session that is gone.
    FOR dead IN
        SELECT DISTINCT j.session AS id FROM queue.job AS j
         WHERE j.status = 'running' AND j.started_at < clock_timestamp() - interval '1 minute'
           AND NOT EXISTS (SELECT FROM queue.session AS s WHERE s.id = j.session)
    LOOP
        taken := queue.give_back(dead.id, 'unknown');
        IF taken > 0 THEN
            worker := 'unknown';
            jobs := taken;
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;

-- Takes a dead session's jobs back, but for those whose row somebody else holds a lock on.
CREATE FUNCTION queue.give_back(p_session uuid, p_worker text) RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    taken bigint;
    queues text[];
BEGIN
    WITH back AS (
        UPDATE queue.job AS j
           SET status = CASE WHEN j.cancel_requested THEN 'cancelled'
                             WHEN j.attempts >= j.max_attempts THEN 'dead' ELSE 'pending' END,
               done_at = CASE WHEN j.cancel_requested OR j.attempts >= j.max_attempts THEN clock_timestamp() END,
               -- At once the first time; a job that keeps killing its workers waits longer each time.
               run_at = clock_timestamp() + least(j.attempts * j.attempts - 1, 3600) * interval '1 second',
               session = NULL,
               epoch = j.epoch + 1,
               error = 'the worker died while it ran the job',
               error_class = CASE WHEN j.attempts >= j.max_attempts THEN 'bug' ELSE 'transient' END,
               error_code = 'worker_died',
               story = queue.told(j.story, jsonb_build_object(
                   'attempt', j.attempts, 'at', clock_timestamp(), 'worker', p_worker, 'class', 'transient',
                   'code', 'worker_died', 'error', 'the worker died while it ran the job'))
         WHERE j.id = ANY (ARRAY (SELECT o.id FROM queue.job AS o
                                   WHERE o.session = p_session AND o.status = 'running'
                                     FOR NO KEY UPDATE SKIP LOCKED))
        RETURNING j.queue
    )
    SELECT count(*), array_agg(DISTINCT back.queue) INTO taken, queues FROM back;
    PERFORM pg_notify('queue_wake', woken.queue) FROM unnest(queues) AS woken (queue);
    RETURN taken;
END $$;

-- Ends a session whose worker goes. What is locked stays, and its session with it, for `take_back`.
CREATE FUNCTION queue.end_session(p_session uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_worker text;
BEGIN
    SELECT s.worker INTO v_worker FROM queue.session AS s WHERE s.id = p_session FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM queue.give_back(p_session, v_worker);
    DELETE FROM queue.session AS s
     WHERE s.id = p_session
       AND NOT EXISTS (SELECT FROM queue.job AS j WHERE j.session = p_session AND j.status = 'running');
END $$;

CREATE TABLE queue.schedule (
    name        text PRIMARY KEY,
    queue       text NOT NULL,
    cron        text NOT NULL,
    tz          text NOT NULL,
    args        jsonb NOT NULL,
    tenant      uuid,
    catch_up    text NOT NULL,
    paused      boolean NOT NULL DEFAULT false,
    last_tick   timestamptz NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

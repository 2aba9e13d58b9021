-- The functions as they were before crashes were counted.
DROP FUNCTION queue.lives(uuid);
DROP FUNCTION queue.give_back(uuid, text, boolean);
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

CREATE OR REPLACE FUNCTION queue.take_back(p_take boolean) RETURNS TABLE (worker text, jobs bigint) LANGUAGE plpgsql
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

CREATE OR REPLACE FUNCTION queue.take(p_jobs uuid[], p_session uuid, p_room int) RETURNS SETOF queue.job LANGUAGE sql AS $$
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

ALTER TABLE queue.job DROP COLUMN crashes, DROP COLUMN begun, DROP COLUMN crashed_under;
ALTER TABLE queue.session DROP COLUMN max_crashes;

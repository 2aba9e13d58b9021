-- Jobs that kill the process of their worker: counted apart from attempts, so that a few such crashes end them and not
-- twenty.
ALTER TABLE queue.session
    -- After how many crashes a job of this worker's queue is dead.
    ADD COLUMN max_crashes int NOT NULL DEFAULT 3 CHECK (max_crashes > 0);
ALTER TABLE queue.job
    -- Claims that ended with the death of their worker since the job last succeeded, slept or waited.
    ADD COLUMN crashes int NOT NULL DEFAULT 0,
    -- Whether the claim would count as one. A job without a crash is taken to have begun when it is claimed; a suspect
    -- says so when its handler begins, because many suspects may lie in a worker that one of them kills.
    ADD COLUMN begun boolean NOT NULL DEFAULT false,
    -- The session of its latest crash, should that turn out to be alive.
    ADD COLUMN crashed_under uuid;
CREATE INDEX job_crashed_under ON queue.job (crashed_under) WHERE crashed_under IS NOT NULL;

-- As before, but for `begun`.
CREATE OR REPLACE FUNCTION queue.take(p_jobs uuid[], p_session uuid, p_room int) RETURNS SETOF queue.job
LANGUAGE sql AS $$
    WITH picked AS (
        SELECT j.id FROM unnest(p_jobs) WITH ORDINALITY AS o (id, n) JOIN queue.job AS j ON j.id = o.id
         WHERE j.status = 'pending' ORDER BY o.n LIMIT p_room FOR NO KEY UPDATE OF j SKIP LOCKED
    )
    UPDATE queue.job AS j
       SET status = 'running', attempts = j.attempts + 1, epoch = j.epoch + 1, session = p_session,
           started_at = clock_timestamp(), waits_for = NULL, begun = j.crashes = 0
      FROM picked WHERE j.id = picked.id
    RETURNING j.*
$$;

-- Takes a session's jobs back, but for those whose row somebody else holds a lock on. Where its worker has died
-- (`p_died`), each job that had begun has crashed once more, and is dead when it has as often as its queue allows. Where
-- the lease alone was lost, that is an attempt and no crash. What had not begun goes back as it was.
DROP FUNCTION queue.give_back(uuid, text);
CREATE FUNCTION queue.give_back(p_session uuid, p_worker text, p_died boolean DEFAULT false) RETURNS bigint
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    taken bigint;
    queues text[];
    v_most int;
    v_code text := CASE WHEN p_died THEN 'worker_died' ELSE 'worker_lost' END;
    v_error text := CASE WHEN p_died THEN 'the worker died while it ran the job'
                         ELSE 'the worker lost its lease while it ran the job' END;
BEGIN
    SELECT s.max_crashes INTO v_most FROM queue.session AS s WHERE s.id = p_session;
    WITH ours AS (
        SELECT o.id, o.begun, o.crashes + (o.begun AND p_died)::int AS crashes,
               o.begun AND (o.attempts >= o.max_attempts
                            OR p_died AND o.crashes + 1 >= coalesce(v_most, 3)) AS ends
          FROM queue.job AS o
         WHERE o.session = p_session AND o.status = 'running'
           FOR NO KEY UPDATE SKIP LOCKED
    ), back AS (
        UPDATE queue.job AS j
           SET status = CASE WHEN j.cancel_requested THEN 'cancelled' WHEN ours.ends THEN 'dead' ELSE 'pending' END,
               done_at = CASE WHEN j.cancel_requested OR ours.ends THEN clock_timestamp() END,
               attempts = CASE WHEN ours.begun THEN j.attempts ELSE greatest(j.attempts - 1, 0) END,
               crashes = ours.crashes,
               crashed_under = CASE WHEN ours.begun AND p_died THEN p_session ELSE j.crashed_under END,
               -- At once the first time; a job that keeps killing its workers waits longer each time.
               run_at = CASE WHEN ours.begun
                             THEN clock_timestamp() + least(j.attempts * j.attempts - 1, 3600) * interval '1 second'
                             ELSE clock_timestamp() END,
               session = NULL,
               epoch = j.epoch + 1,
               error = CASE WHEN ours.begun THEN v_error ELSE j.error END,
               error_class = CASE WHEN NOT ours.begun THEN j.error_class WHEN ours.ends THEN 'bug'
                                  ELSE 'transient' END,
               error_code = CASE WHEN ours.begun THEN v_code ELSE j.error_code END,
               story = CASE WHEN ours.begun THEN queue.told(j.story, jsonb_build_object(
                   'attempt', j.attempts, 'at', clock_timestamp(), 'worker', p_worker, 'class', 'transient',
                   'code', v_code, 'error', v_error)) ELSE j.story END
          FROM ours WHERE ours.id = j.id
        RETURNING j.queue
    )
    SELECT count(*), array_agg(DISTINCT back.queue) INTO taken, queues FROM back;
    PERFORM pg_notify('queue_wake', woken.queue) FROM unnest(queues) AS woken (queue);
    RETURN taken;
END $$;

-- As before, but tells a death from a silence: a process that dies lets go of its lock at once, one that is frozen or cut
-- off does not.
CREATE OR REPLACE FUNCTION queue.take_back(p_take boolean) RETURNS TABLE (worker text, jobs bigint) LANGUAGE plpgsql
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
        SELECT s.id, s.worker, coalesce(s.suspect_since < clock_timestamp() - s.grace, false) AS died
          FROM queue.session AS s
         WHERE s.suspect_since < clock_timestamp() - s.grace OR s.last_seen < clock_timestamp() - s.silence
            OR s.given_up
           FOR UPDATE SKIP LOCKED
    LOOP
        taken := queue.give_back(dead.id, dead.worker, dead.died);
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
    -- A net: no job may lie under a session that is gone. What became of its worker is not known.
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

-- Takes back what was said of a worker that was taken for dead and lives: its connection was away for longer than its
-- grace. Its jobs are not suspects for that, and those that it was the last of, so to speak, are not dead.
CREATE FUNCTION queue.lives(p_session uuid) RETURNS bigint LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    freed bigint;
BEGIN
    UPDATE queue.job AS j
       SET crashes = greatest(j.crashes - 1, 0),
           crashed_under = NULL,
           status = CASE WHEN j.status = 'dead' AND j.error_code = 'worker_died' AND j.attempts < j.max_attempts
                         THEN 'pending' ELSE j.status END,
           done_at = CASE WHEN j.status = 'dead' AND j.error_code = 'worker_died' AND j.attempts < j.max_attempts
                          THEN NULL ELSE j.done_at END,
           story = queue.told(j.story, jsonb_build_object(
               'at', clock_timestamp(), 'code', 'worker_lives', 'error', 'the worker had lost its lease and not died'))
     WHERE j.crashed_under = p_session;
    GET DIAGNOSTICS freed = ROW_COUNT;
    RETURN freed;
END $$;

-- As before, but reads the server's locks once and not once for each session: each reading holds up every lock of the
-- server for its while, and every worker looks at every session with each of its heartbeats.
CREATE OR REPLACE FUNCTION queue.take_back(p_take boolean) RETURNS TABLE (worker text, jobs bigint) LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    dead record;
    taken bigint;
BEGIN
    WITH held AS MATERIALIZED (
        SELECT (l.classid::bigint << 32) | l.objid::bigint AS lock_key
          FROM pg_locks AS l
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
           AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    ), seen AS (
        SELECT o.id, o.lock_key IN (SELECT held.lock_key FROM held) AS held
          FROM queue.session AS o
         WHERE (o.lock_key IN (SELECT held.lock_key FROM held)) <> (o.suspect_since IS NULL)
           FOR NO KEY UPDATE OF o SKIP LOCKED
    )
    UPDATE queue.session AS s
       SET suspect_since = CASE WHEN seen.held THEN NULL ELSE clock_timestamp() END
      FROM seen
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

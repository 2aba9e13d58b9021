-- The heartbeat of all workers of a process: renews these sessions, and says which of them stand. One whose row somebody
-- else holds a lock on stands, and is renewed with a later beat: nobody else's heartbeat waits for that.
CREATE FUNCTION queue.beat(p_sessions uuid[]) RETURNS TABLE (id uuid) LANGUAGE sql AS $$
    UPDATE queue.session AS s SET last_seen = clock_timestamp(), suspect_since = NULL
     WHERE s.id IN (SELECT o.id FROM queue.session AS o
                     WHERE o.id = ANY (p_sessions) AND NOT o.given_up
                       FOR NO KEY UPDATE SKIP LOCKED);
    SELECT s.id FROM queue.session AS s WHERE s.id = ANY (p_sessions) AND NOT s.given_up
$$;

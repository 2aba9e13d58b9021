-- As before, but says how much may yet follow: suspects whose rows somebody held a lock on, and the session itself while
-- others still take its jobs back. Its worker asks again until that is nothing.
CREATE OR REPLACE FUNCTION queue.lives(p_session uuid) RETURNS bigint LANGUAGE plpgsql SET enable_seqscan = off AS $$
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
     WHERE j.id = ANY (ARRAY (SELECT o.id FROM queue.job AS o WHERE o.crashed_under = p_session
                               ORDER BY o.id FOR NO KEY UPDATE SKIP LOCKED));
    RETURN (SELECT count(*) FROM queue.job AS j WHERE j.crashed_under = p_session)
         + (SELECT count(*) FROM queue.session AS s WHERE s.id = p_session);
END $$;

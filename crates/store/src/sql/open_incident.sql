-- Opens an incident of $1 if its minutes up to $2 end with at least $3 that failed, one after the other without a gap.
-- It began with the first of them. Nothing happens where one is open, or where a later minute is known.
INSERT INTO status_incident (id, component, started_at)
SELECT $4, $1, run.since
FROM (
    SELECT min(minute) AS since, count(*) AS length
    FROM (
        SELECT minute, minute + row_number() OVER (ORDER BY minute DESC) * interval '1 minute' AS island
        FROM status_minute
        WHERE component = $1 AND minute <= $2 AND minute > $2 - interval '1 day' AND outcome = 'down'
    ) AS failed
    WHERE island = $2 + interval '1 minute'
) AS run
WHERE run.length >= $3
  AND NOT EXISTS (SELECT FROM status_minute WHERE component = $1 AND minute > $2)
ON CONFLICT DO NOTHING

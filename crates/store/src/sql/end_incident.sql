-- Ends the open incident of $1 if its minutes up to $2 end with at least $3 that worked, one after the other without a
-- gap. It ended with the first of them.
UPDATE status_incident
SET ended_at = run.since
FROM (
    SELECT min(minute) AS since, count(*) AS length
    FROM (
        SELECT minute, minute + row_number() OVER (ORDER BY minute DESC) * interval '1 minute' AS island
        FROM status_minute
        WHERE component = $1 AND minute <= $2 AND minute > $2 - interval '1 day' AND outcome IN ('ok', 'degraded')
    ) AS worked
    WHERE island = $2 + interval '1 minute'
) AS run
WHERE run.length >= $3
  AND status_incident.component = $1
  AND status_incident.ended_at IS NULL
  AND run.since > status_incident.started_at
  AND NOT EXISTS (SELECT FROM status_minute WHERE component = $1 AND minute > $2)

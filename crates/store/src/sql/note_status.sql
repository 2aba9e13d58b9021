-- A minute's result, and in the same statement its day's count. The second of a minute changes nothing.
WITH first AS (
    INSERT INTO status_minute (component, minute, outcome, latency_ms) VALUES ($1, $2, $3, $4)
    ON CONFLICT (component, minute) DO NOTHING
    RETURNING component, minute, outcome
),
counted AS (
    INSERT INTO status_day (component, day, ok, degraded, down)
    SELECT component, (minute AT TIME ZONE 'UTC')::date, (outcome = 'ok')::integer, (outcome = 'degraded')::integer,
           (outcome = 'down')::integer
    FROM first
    ON CONFLICT (component, day) DO UPDATE
    SET ok = status_day.ok + EXCLUDED.ok,
        degraded = status_day.degraded + EXCLUDED.degraded,
        down = status_day.down + EXCLUDED.down
)
SELECT count(*) AS count FROM first

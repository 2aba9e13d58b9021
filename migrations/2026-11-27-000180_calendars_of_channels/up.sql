-- A digest is due by a calendar, and an account that had added no more than Slack channels was given none. It gets the initial
-- one: Mondays at nine, UTC, the next one first.
INSERT INTO tenant_settings (tenant_id, time_zone, digest_weekday, digest_hour, next_digest_at)
SELECT DISTINCT tenant_id, 'UTC', 1, 9,
       (date_trunc('week', (now() AT TIME ZONE 'UTC') - interval '9 hours') + interval '7 days 9 hours') AT TIME ZONE 'UTC'
FROM slack_channel
ON CONFLICT DO NOTHING;

-- How far a watch has come: what an outage kept from being looked at is looked at afterwards.
CREATE TABLE watch (
    name text PRIMARY KEY,
    upto timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON watch TO costlens_system;

-- A threshold is told once for a period, and a period is named by its first day, whose midnight by UTC stands here:
-- another time zone moves the period's beginning and makes no other period of it.
DELETE FROM budget_alert a USING budget_alert b, tenant_settings s
WHERE s.tenant_id = a.tenant_id AND b.tenant_id = a.tenant_id AND b.budget_id = a.budget_id
  AND b.threshold = a.threshold AND b.period_start < a.period_start
  AND (b.period_start AT TIME ZONE s.time_zone)::date = (a.period_start AT TIME ZONE s.time_zone)::date;
UPDATE budget_alert a
SET period_start = (a.period_start AT TIME ZONE s.time_zone)::date::timestamp AT TIME ZONE 'UTC'
FROM tenant_settings s
WHERE s.tenant_id = a.tenant_id
  AND a.period_start <> (a.period_start AT TIME ZONE s.time_zone)::date::timestamp AT TIME ZONE 'UTC'
  AND NOT EXISTS (
      SELECT FROM budget_alert b
      WHERE b.tenant_id = a.tenant_id AND b.budget_id = a.budget_id AND b.threshold = a.threshold
        AND b.period_start = (a.period_start AT TIME ZONE s.time_zone)::date::timestamp AT TIME ZONE 'UTC');

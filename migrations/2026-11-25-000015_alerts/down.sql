DELETE FROM retention WHERE table_name IN ('budget', 'budget_alert', 'anomaly');
DROP INDEX spend_hourly_hour;
REVOKE SELECT (tenant_id, hour) ON spend_hourly FROM costlens_system;
DROP POLICY system ON spend_hourly;
DROP TABLE anomaly;
DROP TABLE budget_alert;
DROP TABLE budget;

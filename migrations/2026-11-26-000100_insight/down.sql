DELETE FROM retention WHERE table_name IN ('insight_event', 'recommendation');
REVOKE SELECT (tenant_id, superseded_at) ON bill FROM costlens_system;
DROP POLICY system_looks ON bill;
DROP TABLE recommendation;
DROP TABLE insight_event;
-- Days and other currencies have no place in what is left.
DELETE FROM anomaly WHERE cadence <> 'hour' OR currency <> 'USD';
ALTER TABLE anomaly
    DROP COLUMN cadence,
    DROP COLUMN kind,
    DROP COLUMN currency,
    DROP COLUMN explanation,
    DROP COLUMN changes,
    DROP COLUMN decision,
    DROP COLUMN decision_reason,
    DROP COLUMN decided_by,
    DROP COLUMN decided_at;

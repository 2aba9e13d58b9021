REVOKE SELECT (tenant_id, event_id, endpoint_id, state, next_at, job_id) ON webhook_delivery FROM costlens_system;
DROP POLICY system ON webhook_delivery;
DROP INDEX webhook_delivery_waiting;
ALTER TABLE webhook_delivery DROP COLUMN job_id;

-- The one job that may deliver it; a sweeper gives a delivery whose job is gone to another. NULL: written before this
-- column was there, and any job may.
ALTER TABLE webhook_delivery ADD COLUMN job_id uuid;
CREATE INDEX webhook_delivery_waiting ON webhook_delivery (next_at) WHERE state = 'pending';
CREATE POLICY system ON webhook_delivery TO costlens_system USING (true) WITH CHECK (true);
GRANT SELECT (tenant_id, event_id, endpoint_id, state, next_at, job_id) ON webhook_delivery TO costlens_system;

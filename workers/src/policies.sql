-- Not forced: the queue's own function for signals runs as the owner.
ALTER TABLE queue.job ENABLE ROW LEVEL SECURITY;
ALTER TABLE queue.run ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS work ON queue.job;
DROP POLICY IF EXISTS work ON queue.run;
DROP POLICY IF EXISTS tenant ON queue.job;
DROP POLICY IF EXISTS tenant ON queue.run;
CREATE POLICY work ON queue.job TO costlens_worker, costlens_system USING (true) WITH CHECK (true);
CREATE POLICY work ON queue.run TO costlens_worker, costlens_system USING (true) WITH CHECK (true);
CREATE POLICY tenant ON queue.job TO costlens_app
    USING (tenant = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant = NULLIF(current_setting('costlens.tenant', true), '')::uuid);
CREATE POLICY tenant ON queue.run TO costlens_app
    USING (tenant = NULLIF(current_setting('costlens.tenant', true), '')::uuid)
    WITH CHECK (tenant = NULLIF(current_setting('costlens.tenant', true), '')::uuid);

DELETE FROM settlement_day WHERE issuer <> 'aws';
DELETE FROM settlement_residual WHERE issuer <> 'aws';
DELETE FROM settlement_coverage WHERE issuer <> 'aws';
DELETE FROM settlement_cell WHERE issuer <> 'aws';
DELETE FROM settlement_price WHERE issuer <> 'aws';
DELETE FROM settlement WHERE issuer <> 'aws';
ALTER TABLE settlement_day DROP CONSTRAINT settlement_day_pkey, DROP COLUMN issuer, ADD PRIMARY KEY (tenant_id, day, measure, version);
ALTER TABLE settlement_residual DROP CONSTRAINT settlement_residual_tenant_id_issuer_month_measure_fkey, DROP CONSTRAINT settlement_residual_pkey, DROP COLUMN issuer,
    ADD PRIMARY KEY (tenant_id, month, measure, n);
ALTER TABLE settlement_coverage DROP CONSTRAINT settlement_coverage_tenant_id_issuer_month_measure_fkey, DROP CONSTRAINT settlement_coverage_pkey, DROP COLUMN issuer,
    ADD PRIMARY KEY (tenant_id, month, measure, n);
ALTER TABLE settlement_cell DROP CONSTRAINT settlement_cell_tenant_id_issuer_month_measure_fkey, DROP CONSTRAINT settlement_cell_pkey, DROP COLUMN issuer,
    ADD PRIMARY KEY (tenant_id, month, measure, n);
ALTER TABLE settlement_price DROP CONSTRAINT settlement_price_tenant_id_issuer_month_measure_fkey, DROP CONSTRAINT settlement_price_pkey, DROP COLUMN issuer,
    ADD PRIMARY KEY (tenant_id, month, measure, n);
ALTER TABLE settlement DROP CONSTRAINT settlement_pkey, DROP COLUMN issuer, ADD PRIMARY KEY (tenant_id, month, measure);
ALTER TABLE settlement_residual ADD FOREIGN KEY (tenant_id, month, measure) REFERENCES settlement (tenant_id, month, measure);
ALTER TABLE settlement_coverage ADD FOREIGN KEY (tenant_id, month, measure) REFERENCES settlement (tenant_id, month, measure);
ALTER TABLE settlement_cell ADD FOREIGN KEY (tenant_id, month, measure) REFERENCES settlement (tenant_id, month, measure);
ALTER TABLE settlement_price ADD FOREIGN KEY (tenant_id, month, measure) REFERENCES settlement (tenant_id, month, measure);

-- A settlement is between one issuer's bills and the calls that it charges for: AWS' bills and the reports of vendors whose
-- calls never touch AWS each have their own.
ALTER TABLE settlement_residual DROP CONSTRAINT settlement_residual_tenant_id_month_measure_fkey, DROP CONSTRAINT settlement_residual_pkey;
ALTER TABLE settlement_coverage DROP CONSTRAINT settlement_coverage_tenant_id_month_measure_fkey, DROP CONSTRAINT settlement_coverage_pkey;
ALTER TABLE settlement_cell DROP CONSTRAINT settlement_cell_tenant_id_month_measure_fkey, DROP CONSTRAINT settlement_cell_pkey;
ALTER TABLE settlement_price DROP CONSTRAINT settlement_price_tenant_id_month_measure_fkey, DROP CONSTRAINT settlement_price_pkey;
ALTER TABLE settlement DROP CONSTRAINT settlement_pkey,
    ADD COLUMN issuer text NOT NULL DEFAULT 'aws' CHECK (issuer IN ('aws', 'anthropic', 'openai')),
    ADD PRIMARY KEY (tenant_id, issuer, month, measure);
ALTER TABLE settlement ALTER COLUMN issuer DROP DEFAULT;
ALTER TABLE settlement_residual ADD COLUMN issuer text NOT NULL DEFAULT 'aws',
    ADD PRIMARY KEY (tenant_id, issuer, month, measure, n),
    ADD FOREIGN KEY (tenant_id, issuer, month, measure) REFERENCES settlement (tenant_id, issuer, month, measure);
ALTER TABLE settlement_residual ALTER COLUMN issuer DROP DEFAULT;
ALTER TABLE settlement_coverage ADD COLUMN issuer text NOT NULL DEFAULT 'aws',
    ADD PRIMARY KEY (tenant_id, issuer, month, measure, n),
    ADD FOREIGN KEY (tenant_id, issuer, month, measure) REFERENCES settlement (tenant_id, issuer, month, measure);
ALTER TABLE settlement_coverage ALTER COLUMN issuer DROP DEFAULT;
ALTER TABLE settlement_cell ADD COLUMN issuer text NOT NULL DEFAULT 'aws',
    ADD PRIMARY KEY (tenant_id, issuer, month, measure, n),
    ADD FOREIGN KEY (tenant_id, issuer, month, measure) REFERENCES settlement (tenant_id, issuer, month, measure);
ALTER TABLE settlement_cell ALTER COLUMN issuer DROP DEFAULT;
ALTER TABLE settlement_price ADD COLUMN issuer text NOT NULL DEFAULT 'aws',
    ADD PRIMARY KEY (tenant_id, issuer, month, measure, n),
    ADD FOREIGN KEY (tenant_id, issuer, month, measure) REFERENCES settlement (tenant_id, issuer, month, measure);
ALTER TABLE settlement_price ALTER COLUMN issuer DROP DEFAULT;
ALTER TABLE settlement_day ADD COLUMN issuer text NOT NULL DEFAULT 'aws', DROP CONSTRAINT settlement_day_pkey,
    ADD PRIMARY KEY (tenant_id, issuer, day, measure, version);
ALTER TABLE settlement_day ALTER COLUMN issuer DROP DEFAULT;

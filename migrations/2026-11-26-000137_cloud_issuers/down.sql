DELETE FROM settlement_day WHERE issuer IN ('azure', 'google');
DELETE FROM settlement_residual WHERE issuer IN ('azure', 'google');
DELETE FROM settlement_coverage WHERE issuer IN ('azure', 'google');
DELETE FROM settlement_cell WHERE issuer IN ('azure', 'google');
DELETE FROM settlement_price WHERE issuer IN ('azure', 'google');
DELETE FROM settlement WHERE issuer IN ('azure', 'google');
ALTER TABLE settlement DROP CONSTRAINT settlement_issuer_check,
    ADD CONSTRAINT settlement_issuer_check CHECK (issuer IN ('aws', 'anthropic', 'openai'));

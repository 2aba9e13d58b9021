-- Azure and Google issue bills, too.
ALTER TABLE settlement DROP CONSTRAINT settlement_issuer_check,
    ADD CONSTRAINT settlement_issuer_check CHECK (issuer IN ('aws', 'anthropic', 'openai', 'azure', 'google'));

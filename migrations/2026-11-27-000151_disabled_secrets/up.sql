-- What a connection was let in by goes when it is disabled, for good: nothing enables one again.
UPDATE connection SET sealed_secret = NULL WHERE disabled_at IS NOT NULL AND sealed_secret IS NOT NULL;
ALTER TABLE connection
    ADD CONSTRAINT connection_disabled_secret CHECK (disabled_at IS NULL OR sealed_secret IS NULL);

ALTER TABLE connection DROP CONSTRAINT connection_disabled_secret;

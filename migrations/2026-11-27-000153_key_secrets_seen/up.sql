-- Who saw the secret of now: the person who made the key, or rolled it last. NULL where a program of the operator did, and
-- of keys from before. It points at nobody: the key outlives its maker, and a name that is gone says just that.
ALTER TABLE api_key ADD COLUMN shown_to uuid;
GRANT UPDATE (shown_to) ON api_key TO costlens_app;

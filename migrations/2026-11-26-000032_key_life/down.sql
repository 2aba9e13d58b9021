ALTER TABLE api_key
    DROP COLUMN scopes,
    DROP COLUMN expires_at,
    DROP COLUMN previous_hash,
    DROP COLUMN previous_until,
    DROP COLUMN rolled_at;

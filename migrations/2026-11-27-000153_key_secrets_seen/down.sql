ALTER TABLE api_key DROP COLUMN shown_to;

ALTER TABLE bill DROP COLUMN withdrawn_at;

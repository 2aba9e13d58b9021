ALTER TABLE exchange_code DROP COLUMN proven_at;

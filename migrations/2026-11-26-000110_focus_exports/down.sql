DELETE FROM export WHERE what = 'focus';
ALTER TABLE export DROP CONSTRAINT export_what_check;
ALTER TABLE export ADD CONSTRAINT export_what_check CHECK (what IN ('requests', 'hourly_spend'));

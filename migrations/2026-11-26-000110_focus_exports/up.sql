-- Bills and calls in one file, in the columns of FOCUS.
ALTER TABLE export DROP CONSTRAINT export_what_check;
ALTER TABLE export ADD CONSTRAINT export_what_check CHECK (what IN ('requests', 'hourly_spend', 'focus'));

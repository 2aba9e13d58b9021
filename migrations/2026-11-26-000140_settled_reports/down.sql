DELETE FROM export WHERE what = 'focus_settled' OR format = 'parquet';
ALTER TABLE export DROP CONSTRAINT export_parquet_check, DROP CONSTRAINT export_what_check, DROP CONSTRAINT export_format_check;
ALTER TABLE export
    ADD CONSTRAINT export_what_check CHECK (what IN ('requests', 'hourly_spend', 'focus')),
    ADD CONSTRAINT export_format_check CHECK (format IN ('csv', 'jsonl'));
DELETE FROM budget_alert WHERE threshold = 0;
ALTER TABLE budget_alert DROP COLUMN expected_on;
ALTER TABLE budget DROP COLUMN counts_unproxied;

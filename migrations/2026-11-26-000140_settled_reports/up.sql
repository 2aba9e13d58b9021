-- Both sources with settled costs, and Parquet for what has FOCUS' columns.
ALTER TABLE export DROP CONSTRAINT export_what_check, DROP CONSTRAINT export_format_check;
ALTER TABLE export
    ADD CONSTRAINT export_what_check CHECK (what IN ('requests', 'hourly_spend', 'focus', 'focus_settled')),
    ADD CONSTRAINT export_format_check CHECK (format IN ('csv', 'jsonl', 'parquet')),
    ADD CONSTRAINT export_parquet_check CHECK (format <> 'parquet' OR what IN ('focus', 'focus_settled'));

-- A budget of all calls may count what is billed and no call through the proxy used, too.
ALTER TABLE budget ADD COLUMN counts_unproxied boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT budget_unproxied_check
        CHECK (NOT counts_unproxied OR (api_key_id IS NULL AND provider IS NULL AND model IS NULL));
-- That a budget is expected to be crossed is told once a period, too: without a threshold, with the day.
ALTER TABLE budget_alert ADD COLUMN expected_on date,
    ADD CONSTRAINT budget_alert_expected_check CHECK ((threshold = 0) = (expected_on IS NOT NULL));

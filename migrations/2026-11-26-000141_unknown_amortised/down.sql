-- As billed, which is what stood there before.
UPDATE bill_daily_fact SET amortised = unblended WHERE amortised IS NULL;
ALTER TABLE bill_daily_fact ALTER COLUMN amortised SET NOT NULL;

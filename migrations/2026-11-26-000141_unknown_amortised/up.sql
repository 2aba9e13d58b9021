-- Azure's actual costs do not say what a commitment costs once it is spread over what it covers. NULL is unknown, as for
-- the other measures.
ALTER TABLE bill_daily_fact ALTER COLUMN amortised DROP NOT NULL;

ALTER TABLE anomaly
    DROP COLUMN bill_verdict,
    DROP COLUMN billed,
    DROP COLUMN billed_at;

-- What the bills make of a surprise among calls, since they have its day.
ALTER TABLE anomaly
    ADD COLUMN bill_verdict text CHECK (bill_verdict IN ('confirmed', 'lower', 'absent')),
    ADD COLUMN billed numeric,
    ADD COLUMN billed_at timestamptz,
    ADD CONSTRAINT anomaly_on_bill CHECK (num_nulls(bill_verdict, billed, billed_at) IN (0, 3));
GRANT UPDATE (bill_verdict, billed, billed_at) ON anomaly TO costlens_app;

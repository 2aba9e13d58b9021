-- A bill that somebody took back: it counts no longer, and nothing counts in its place.
ALTER TABLE bill ADD COLUMN withdrawn_at timestamptz
    CONSTRAINT bill_withdrawn_counts_no_longer CHECK (withdrawn_at IS NULL OR superseded_at IS NOT NULL);
GRANT UPDATE (withdrawn_at) ON bill TO costlens_app;

-- The daily look finds walks that did not come to their end.
GRANT SELECT (id, started_at) ON repricing TO costlens_system;

DROP FUNCTION supersede_imports(uuid[], text[]);
DELETE FROM retention WHERE table_name = 'imported_call';
DROP TABLE imported_call;
DROP INDEX request_response;
-- What never passed the proxy has no place in a ledger that does not say so.
DELETE FROM request WHERE origin <> 'proxy';
ALTER TABLE request DROP COLUMN origin, DROP COLUMN region, DROP COLUMN response_id;

DROP FUNCTION erase_counted_rows(uuid, text, integer);
DROP FUNCTION erase_data_keys(uuid);
DROP FUNCTION add_erased(uuid, text, bigint);

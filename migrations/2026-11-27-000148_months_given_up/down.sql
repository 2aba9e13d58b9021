DROP FUNCTION give_up_month(uuid, date, text[], text[], timestamptz);
ALTER TABLE bill DROP COLUMN given_up;

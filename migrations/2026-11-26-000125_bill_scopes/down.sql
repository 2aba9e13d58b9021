UPDATE bill SET scope = format || substr(scope, strpos(scope, ' '));
ALTER TABLE bill DROP COLUMN first_month, DROP COLUMN last_month;

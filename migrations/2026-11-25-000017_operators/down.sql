ALTER TABLE session DROP COLUMN operator;
ALTER TABLE sign_in_link DROP COLUMN operator;

DELETE FROM retention WHERE table_name IN ('sign_in_link', 'session');
DROP TABLE session;
DROP TABLE sign_in_link;

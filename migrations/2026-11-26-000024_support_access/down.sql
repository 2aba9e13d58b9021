DELETE FROM retention WHERE table_name = 'support_grant';
DROP TABLE support_grant;

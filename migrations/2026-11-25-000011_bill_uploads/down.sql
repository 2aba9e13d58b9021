DELETE FROM retention WHERE table_name = 'bill_upload';
DROP TABLE bill_upload;

DELETE FROM user_link WHERE purpose = 'sign_in_changed';
ALTER TABLE user_link DROP CONSTRAINT user_link_purpose_check;
ALTER TABLE user_link ADD CONSTRAINT user_link_purpose_check CHECK (
    purpose IN ('registration', 'password_reset', 'account_exists', 'password_changed')
);

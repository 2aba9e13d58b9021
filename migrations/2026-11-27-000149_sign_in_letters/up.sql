-- Whoever gains or loses a way to sign in, or a second factor, is told by mail.
ALTER TABLE user_link DROP CONSTRAINT user_link_purpose_check;
ALTER TABLE user_link ADD CONSTRAINT user_link_purpose_check CHECK (
    purpose IN ('registration', 'password_reset', 'account_exists', 'password_changed', 'sign_in_changed')
);

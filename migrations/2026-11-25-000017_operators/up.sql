-- Who runs the service may look at every workflow. It is a property of how somebody signed in, given by a command on
-- the operator's machine and by nothing that a tenant can reach.
ALTER TABLE sign_in_link ADD COLUMN operator boolean NOT NULL DEFAULT false;
ALTER TABLE session ADD COLUMN operator boolean NOT NULL DEFAULT false;

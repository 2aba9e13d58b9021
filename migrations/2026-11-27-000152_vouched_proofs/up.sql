-- When the person proved to whoever vouches who it is; NULL where nobody says: it may have been signed in there for days.
ALTER TABLE exchange_code ADD COLUMN proven_at timestamptz;

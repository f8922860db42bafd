CREATE TRIGGER IF NOT EXISTS {no_update} BEFORE UPDATE ON {events} FOR EACH ROW
	SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{changed}';

-- A session may delete events until the time, in seconds since 1970, to which it
-- has set {switch}. It ends by itself, since a pool may hand the
-- session on.
CREATE TRIGGER IF NOT EXISTS {no_delete} BEFORE DELETE ON {events} FOR EACH ROW
	IF COALESCE({switch}, 0) < UNIX_TIMESTAMP() THEN
		SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{deleted}';
	END IF;

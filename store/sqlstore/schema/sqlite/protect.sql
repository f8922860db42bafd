-- Events may be deleted while it has a row, which is inserted and deleted within
-- one transaction: nobody else ever sees it.
CREATE TABLE IF NOT EXISTS {switch} (allowed INTEGER NOT NULL);

CREATE TRIGGER IF NOT EXISTS {no_update} BEFORE UPDATE ON {events} BEGIN
	SELECT RAISE(ABORT, '{changed}');
END;

CREATE TRIGGER IF NOT EXISTS {no_delete} BEFORE DELETE ON {events} WHEN NOT EXISTS (SELECT 1 FROM {switch}) BEGIN
	SELECT RAISE(ABORT, '{deleted}');
END;

-- INSERT OR REPLACE deletes without asking the trigger above. An event that is
-- inserted twice gets the message of the primary key.
CREATE TRIGGER IF NOT EXISTS {no_replace} BEFORE INSERT ON {events} WHEN EXISTS (SELECT 1 FROM {events} WHERE id = NEW.id) BEGIN
	SELECT RAISE(ABORT, 'UNIQUE constraint failed: {name}.id');
END;

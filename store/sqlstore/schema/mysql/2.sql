-- The list of authors: the newest event of each is found by one look-up, however
-- many events there are. MySQL, unlike MariaDB, has no CREATE INDEX IF NOT EXISTS.
-- The statements need one session, because variables belong to it.
SET @audit_index = IF(EXISTS (
	SELECT 1 FROM information_schema.statistics
	WHERE table_schema = COALESCE(NULLIF('{schema_name}', ''), DATABASE()) AND table_name = '{events_name}' AND index_name = '{events_authors_name}'
), 'DO 0', 'CREATE INDEX {events_authors} ON {events} (workspace, actor_kind, actor_id, time)');

PREPARE audit_index FROM @audit_index;

EXECUTE audit_index;

DEALLOCATE PREPARE audit_index;

INSERT IGNORE INTO {schema} (version) VALUES (2);

-- The audit trail. Rows are inserted and, when they have been archived, deleted,
-- but never changed. Texts that filters compare are '' if there is none; the
-- others are NULL.
CREATE TABLE IF NOT EXISTS {events} (
	id              BLOB     NOT NULL PRIMARY KEY, -- UUID, version 7, 16 bytes
	time            INTEGER  NOT NULL,             -- microseconds since 1970 in UTC
	workspace       TEXT     NOT NULL,
	actor_kind      TEXT     NOT NULL,
	actor_id        TEXT     NOT NULL,
	actor_name      TEXT,
	initiator_kind  TEXT,
	initiator_id    TEXT,
	initiator_name  TEXT,
	operation       TEXT     NOT NULL,
	origin          TEXT     NOT NULL,
	entity_type     TEXT     NOT NULL,
	entity_id       TEXT     NOT NULL,
	entity_label    TEXT,
	entity_owner    TEXT     NOT NULL,
	ownership       TEXT     NOT NULL,
	changes         TEXT     NOT NULL,             -- JSON array of audit.AppendStored, byte for byte as it was written
	cause           BLOB,                          -- id of another event
	derived         INTEGER  NOT NULL,             -- 0 or 1
	change_set      BLOB,
	request_id      TEXT,
	request_address TEXT,
	request_agent   TEXT,
	reason          TEXT,
	schema_version  INTEGER  NOT NULL
);

-- The report: a workspace's events, newest first, within dates, page by page.
CREATE INDEX IF NOT EXISTS {events_time} ON {events} (workspace, time, id);

-- A record's history, opened from the record.
CREATE INDEX IF NOT EXISTS {events_entity} ON {events} (workspace, entity_type, entity_id, time, id);

-- The report of one author among many, and the list of authors, in which the
-- newest event of each is found by one look-up.
CREATE INDEX IF NOT EXISTS {events_actor} ON {events} (workspace, actor_kind, actor_id, time, id);

-- What an event led to. Few events have a cause, so the index is small.
CREATE INDEX IF NOT EXISTS {events_cause} ON {events} (cause) WHERE cause IS NOT NULL;

-- What else happened in the same transaction.
CREATE INDEX IF NOT EXISTS {events_change_set} ON {events} (change_set) WHERE change_set IS NOT NULL;

-- What each workspace records. A missing row is everything off.
CREATE TABLE IF NOT EXISTS {settings} (
	workspace TEXT    NOT NULL PRIMARY KEY,
	version   INTEGER NOT NULL, -- grows by 1 with each change
	switches  TEXT    NOT NULL  -- JSON
);

-- The versions of these tables that were applied.
CREATE TABLE IF NOT EXISTS {schema} (
	version INTEGER NOT NULL PRIMARY KEY
);

INSERT INTO {schema} (version) VALUES (1) ON CONFLICT DO NOTHING;

-- Exports that are made in the background. Rows change as their work goes on.
CREATE TABLE IF NOT EXISTS {exports} (
	id             BLOB    NOT NULL PRIMARY KEY, -- UUID, version 7, 16 bytes
	workspace      TEXT    NOT NULL,
	requester_kind TEXT    NOT NULL,
	requester_id   TEXT    NOT NULL,
	slot           INTEGER,          -- among the requester's open exports; NULL once it is over
	created        INTEGER NOT NULL, -- microseconds since 1970 in UTC
	state          TEXT    NOT NULL,
	due            INTEGER,          -- when a worker looks at it next, as created; NULL is never
	version        INTEGER NOT NULL, -- grows by 1 with each change
	job            TEXT    NOT NULL  -- JSON, all of it
);

-- Two open exports of one requester have two slots, so there are only as many.
CREATE UNIQUE INDEX IF NOT EXISTS {exports_slot} ON {exports} (workspace, requester_kind, requester_id, slot);

-- The list that the requester sees.
CREATE INDEX IF NOT EXISTS {exports_created} ON {exports} (workspace, requester_kind, requester_id, created, id);

-- What there is to do.
CREATE INDEX IF NOT EXISTS {exports_due} ON {exports} (due);

INSERT INTO {schema} (version) VALUES (2) ON CONFLICT DO NOTHING;

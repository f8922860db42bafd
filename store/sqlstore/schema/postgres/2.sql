-- Exports that are made in the background. Rows change as their work goes on.
CREATE TABLE IF NOT EXISTS {exports} (
	id             uuid   NOT NULL PRIMARY KEY, -- version 7
	workspace      text   NOT NULL,
	requester_kind text   NOT NULL,
	requester_id   text   NOT NULL,
	slot           bigint,          -- among the requester's open exports; NULL once it is over
	created        bigint NOT NULL, -- microseconds since 1970 in UTC
	state          text   NOT NULL,
	due            bigint,          -- when a worker looks at it next, as created; NULL is never
	version        bigint NOT NULL, -- grows by 1 with each change
	job            text   NOT NULL  -- JSON, all of it
);

-- Two open exports of one requester have two slots, so there are only as many.
CREATE UNIQUE INDEX IF NOT EXISTS {exports_slot} ON {exports} (workspace, requester_kind, requester_id, slot);

-- The list that the requester sees.
CREATE INDEX IF NOT EXISTS {exports_created} ON {exports} (workspace, requester_kind, requester_id, created, id);

-- What there is to do.
CREATE INDEX IF NOT EXISTS {exports_due} ON {exports} (due);

INSERT INTO {schema} (version) VALUES (2) ON CONFLICT DO NOTHING;

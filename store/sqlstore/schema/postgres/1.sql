-- The audit trail. Rows are inserted and, when they have been archived, deleted,
-- but never changed. Texts that filters compare are '' if there is none; the
-- others are NULL.
CREATE TABLE IF NOT EXISTS {events} (
	id              uuid     NOT NULL PRIMARY KEY, -- version 7
	time            bigint   NOT NULL,             -- microseconds since 1970 in UTC
	workspace       text     NOT NULL,
	actor_kind      text     NOT NULL,
	actor_id        text     NOT NULL,
	actor_name      text,
	initiator_kind  text,
	initiator_id    text,
	initiator_name  text,
	operation       text     NOT NULL,
	origin          text     NOT NULL,
	entity_type     text     NOT NULL,
	entity_id       text     NOT NULL,
	entity_label    text,
	entity_owner    text     NOT NULL,
	ownership       text     NOT NULL,
	changes         text     NOT NULL,             -- JSON array of audit.AppendStored, byte for byte as it was written: not json, which refuses \u0000, nor jsonb, which rewrites
	cause           uuid,                          -- id of another event
	derived         smallint NOT NULL,             -- 0 or 1
	change_set      uuid,
	request_id      text,
	request_address text,
	request_agent   text,
	reason          text,
	schema_version  integer  NOT NULL
);

-- The report: a workspace's events, newest first, within dates, page by page.
CREATE INDEX IF NOT EXISTS {events_time} ON {events} (workspace, time, id);

-- The report of one author among many, and the list of authors, in which the
-- newest event of each is found by one look-up.
CREATE INDEX IF NOT EXISTS {events_actor} ON {events} (workspace, actor_kind, actor_id, time, id);

-- What an event led to. Few events have a cause, so the index is small.
CREATE INDEX IF NOT EXISTS {events_cause} ON {events} (cause) WHERE cause IS NOT NULL;

-- What else happened in the same transaction.
CREATE INDEX IF NOT EXISTS {events_change_set} ON {events} (change_set) WHERE change_set IS NOT NULL;

-- A record's history, opened from the record, and whether it has an event that is
-- newer than the one to be written. It is made last: of indexes that cost the same,
-- as all do while the table is small, the planner takes the youngest, and a plan
-- that is kept would read the whole workspace by another one once it has grown.
CREATE INDEX IF NOT EXISTS {events_entity} ON {events} (workspace, entity_type, entity_id, time, id);

-- What each workspace records. A missing row is everything off.
CREATE TABLE IF NOT EXISTS {settings} (
	workspace text    NOT NULL PRIMARY KEY,
	version   bigint  NOT NULL, -- grows by 1 with each change
	switches  text    NOT NULL  -- JSON
);

-- The versions of these tables that were applied.
CREATE TABLE IF NOT EXISTS {schema} (
	version integer NOT NULL PRIMARY KEY
);

INSERT INTO {schema} (version) VALUES (1) ON CONFLICT DO NOTHING;

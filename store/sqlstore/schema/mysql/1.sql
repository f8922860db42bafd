-- The audit trail. Rows are inserted and, when they have been archived, deleted,
-- but never changed. Texts that filters compare are '' if there is none; the
-- others are NULL. The collation compares bytes, as the other databases do.
CREATE TABLE IF NOT EXISTS {events} (
	id              binary(16)   NOT NULL PRIMARY KEY, -- UUID, version 7
	time            bigint       NOT NULL,             -- microseconds since 1970 in UTC
	workspace       varchar(191) NOT NULL,
	actor_kind      varchar(191) NOT NULL,
	actor_id        varchar(191) NOT NULL,
	actor_name      varchar(500),
	initiator_kind  varchar(191),
	initiator_id    varchar(191),
	initiator_name  varchar(500),
	operation       varchar(191) NOT NULL,
	origin          varchar(191) NOT NULL,
	entity_type     varchar(191) NOT NULL,
	entity_id       varchar(191) NOT NULL,
	entity_label    varchar(500),
	entity_owner    varchar(191) NOT NULL,
	ownership       varchar(191) NOT NULL,
	changes         longtext     NOT NULL,             -- JSON array of audit.AppendStored, byte for byte as it was written: not json, which MySQL rewrites
	cause           binary(16),                        -- id of another event
	derived         tinyint      NOT NULL,             -- 0 or 1
	change_set      binary(16),
	request_id      varchar(191),
	request_address varchar(191),
	request_agent   varchar(500),
	reason          text,
	schema_version  int          NOT NULL,
	-- The report: a workspace's events, newest first, within dates, page by page.
	KEY {events_time} (workspace, time, id),
	-- A record's history, opened from the record.
	KEY {events_entity} (workspace, entity_type, entity_id, time, id),
	-- The report of one author among many, and the list of authors, in which the
	-- newest event of each is found by one look-up.
	KEY {events_actor} (workspace, actor_kind, actor_id, time, id),
	-- What an event led to.
	KEY {events_cause} (cause),
	-- What else happened in the same transaction.
	KEY {events_change_set} (change_set)
) ENGINE = InnoDB, ROW_FORMAT = DYNAMIC, CHARACTER SET utf8mb4, COLLATE utf8mb4_bin;

-- What each workspace records. A missing row is everything off.
CREATE TABLE IF NOT EXISTS {settings} (
	workspace varbinary(191) NOT NULL PRIMARY KEY,
	version   bigint         NOT NULL, -- grows by 1 with each change
	switches  text           NOT NULL  -- JSON
) ENGINE = InnoDB, CHARACTER SET utf8mb4, COLLATE utf8mb4_bin;

-- The versions of these tables that were applied.
CREATE TABLE IF NOT EXISTS {schema} (
	version int NOT NULL PRIMARY KEY
) ENGINE = InnoDB;

INSERT IGNORE INTO {schema} (version) VALUES (1);

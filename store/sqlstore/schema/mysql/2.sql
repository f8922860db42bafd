-- Exports that are made in the background. Rows change as their work goes on.
CREATE TABLE IF NOT EXISTS {exports} (
	id             binary(16)     NOT NULL PRIMARY KEY, -- UUID, version 7
	workspace      varbinary(191) NOT NULL,
	requester_kind varbinary(191) NOT NULL,
	requester_id   varbinary(191) NOT NULL,
	slot           int,                     -- among the requester's open exports; NULL once it is over
	created        bigint         NOT NULL, -- microseconds since 1970 in UTC
	state          varchar(191)   NOT NULL,
	due            bigint,                  -- when a worker looks at it next, as created; NULL is never
	version        bigint         NOT NULL, -- grows by 1 with each change
	job            mediumtext     NOT NULL, -- JSON, all of it
	-- Two open exports of one requester have two slots, so there are only as many.
	UNIQUE KEY {exports_slot} (workspace, requester_kind, requester_id, slot),
	-- The list that the requester sees.
	KEY {exports_created} (workspace, requester_kind, requester_id, created, id),
	-- What there is to do.
	KEY {exports_due} (due)
) ENGINE = InnoDB, ROW_FORMAT = DYNAMIC, CHARACTER SET utf8mb4, COLLATE utf8mb4_bin;

INSERT IGNORE INTO {schema} (version) VALUES (2);

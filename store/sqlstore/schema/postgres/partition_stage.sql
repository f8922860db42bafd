-- Takes the place of the default partition once it has all its events.
CREATE TABLE {staged} (LIKE {events} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING INDEXES) PARTITION BY RANGE (time);

-- What has changed in the default partition since the copying began.
CREATE TABLE {touched} (id uuid NOT NULL);

CREATE FUNCTION {touch}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $audit$
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		RAISE 'audit: the events are being moved to partitions, and cannot be truncated meanwhile' USING ERRCODE = 'object_in_use';
	END IF;
	IF TG_OP <> 'INSERT' THEN
		INSERT INTO {touched} VALUES (OLD.id);
	END IF;
	IF TG_OP <> 'DELETE' THEN
		INSERT INTO {touched} VALUES (NEW.id);
	END IF;
	RETURN NULL;
END $audit$;

REVOKE ALL ON FUNCTION {touch}() FROM PUBLIC;

-- Gives the partitions the owner of the whole, and nobody else rights on them: who
-- may write events names the whole.
DO $audit$
DECLARE
	x record;
BEGIN
	FOR x IN SELECT c.oid::regclass AS leaf, pg_get_userbyid(p.relowner) AS owner
		FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
		WHERE i.inhparent = {events_literal}::regclass AND c.relowner <> p.relowner
	LOOP
		EXECUTE format('ALTER TABLE %s OWNER TO %I', x.leaf, x.owner);
	END LOOP;
	FOR x IN SELECT DISTINCT c.oid::regclass AS leaf, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee
		FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid, aclexplode(c.relacl)
		WHERE i.inhparent = {events_literal}::regclass AND grantee <> c.relowner
	LOOP
		EXECUTE format('REVOKE ALL ON TABLE %s FROM %s', x.leaf, x.grantee);
	END LOOP;
END $audit$;

package hooks

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestTablesThatSQLWritesToAreFoundByItsWords(t *testing.T) {
	t.Parallel()
	all := []string{"sqlite", "postgres", "mysql"}
	for _, c := range []struct {
		sql  string
		want string // verbs and tables
		in   []string
	}{
		{"", "", all},
		{"SELECT 1", "", all},
		{"select * from tags for update", "", all},
		{"SELECT * FROM tags WHERE note = 'x; DELETE FROM tags'", "", all},
		{"SELECT 1; DELETE FROM tags;", "delete tags (within)", all},
		{"SAVEPOINT sp1", "", all},
		{"ROLLBACK TO SAVEPOINT sp1", "", all},
		{"CREATE TABLE tags (id INT REFERENCES x ON DELETE CASCADE ON UPDATE CASCADE)", "", all},
		{"ALTER TABLE tags ADD name TEXT", "", all},
		{"DROP TABLE tags", "", all},
		{"INSERT INTO tags__temp (id) SELECT id FROM tags", "insert tags__temp", all},
		{"insert into tags values (1)", "insert tags", all},
		{"INSERT\n\tINTO \"tags\" VALUES (1) ON CONFLICT (id) DO UPDATE SET name = ''", "insert tags", []string{"sqlite", "postgres"}},
		{"INSERT OR REPLACE INTO tags VALUES (1)", "insert tags", []string{"sqlite"}},
		{"REPLACE INTO tags VALUES (1)", "replace tags", []string{"sqlite", "mysql"}},
		{"SELECT REPLACE(name, 'a', 'b') FROM tags; SELECT (REPLACE(name, 'a', 'b')) FROM tags", "", all},
		{"INSERT IGNORE tags VALUES (1) ON DUPLICATE KEY UPDATE name = ''", "insert tags", []string{"mysql"}},
		{"UPDATE tags SET name = ?", "update tags", all},
		{"UPDATE Tags SET name = ?", "update tags", []string{"postgres"}},
		{`UPDATE "Tags" SET name = ?`, "update Tags", []string{"postgres"}},
		{"/* UPDATE x */ -- UPDATE y\n update tags set name = 1", "update tags", all},
		{"/* a /* nested */ */ DELETE FROM tags", "delete tags", []string{"postgres"}},
		{"# DELETE FROM x\nDELETE FROM tags", "delete tags", []string{"mysql"}},
		{"/*!50000 DELETE FROM tags */", "delete tags", []string{"mysql"}},
		{"/*!999999 DELETE FROM tags; */ SELECT 1", "", []string{"mysql"}},
		{"/*M!999999\\- enable the sandbox mode */ DELETE FROM tags", "delete tags", []string{"mysql"}},
		{"/*M!100100 DELETE*/ FROM tags", "delete tags", []string{"mysql"}},
		{"UPDATE ONLY public.tags AS t SET name = '' FROM items i WHERE t.id = i.tag_id", "update public.tags", []string{"postgres"}},
		{"UPDATE tags * SET name = ''", "update tags", []string{"postgres"}},
		{`UPDATE "public"."tags" SET name = ''`, "update public.tags", []string{"postgres"}},
		{"UPDATE [tags] SET name = ''", "update tags", []string{"sqlite"}},
		{"UPDATE `a``b` SET name = ''", "update a`b", []string{"sqlite", "mysql"}},
		{"UPDATE OR IGNORE main.tags SET name = ''", "update main.tags", []string{"sqlite"}},
		{"UPDATE LOW_PRIORITY IGNORE tags SET name = 'it\\'s'; SELECT 'DELETE FROM x'", "update tags (within)", []string{"mysql"}},
		{"UPDATE tags t JOIN items i ON i.tag_id = t.id SET t.name = i.name, t.hits = (SELECT 1, 2)", "update tags", []string{"mysql"}},
		{"UPDATE tags, items SET tags.name = '', items.name = ''", "update tags update items", []string{"mysql"}},
		{"UPDATE tags, items SET name = ''", "update tags update items", []string{"mysql"}},
		{"DELETE FROM tags USING items WHERE tags.id = items.tag_id", "delete tags", []string{"postgres"}},
		{"DELETE t FROM tags AS t JOIN items i ON i.tag_id = t.id", "delete tags", []string{"mysql"}},
		{"DELETE tags.*, i FROM tags, items i", "delete tags delete items", []string{"mysql"}},
		{"DELETE FROM t USING tags t JOIN items", "delete tags", []string{"mysql"}},
		{"TRUNCATE tags, ONLY items CASCADE", "truncate tags truncate items", []string{"postgres"}},
		{"TRUNCATE TABLE tags", "truncate tags", []string{"postgres", "mysql"}},
		{"MERGE INTO tags t USING items i ON t.id = i.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1)", "merge tags", []string{"postgres"}},
		{"COPY tags (id, name) FROM '/tmp/x'", "copy tags", []string{"postgres"}},
		{"COPY tags TO '/tmp/x'", "", []string{"postgres"}},
		{"COPY (SELECT * FROM tags) TO '/tmp/x'", "", []string{"postgres"}},
		{"LOAD DATA LOCAL INFILE 'x' REPLACE INTO TABLE tags", "load tags", []string{"mysql"}},
		{"WITH x AS (SELECT 1) SELECT * FROM tags", "", all},
		{"WITH x AS (SELECT 1), y(a, b) AS (SELECT 2, 3) UPDATE tags SET name = ''", "update tags", all},
		{"WITH x AS MATERIALIZED (DELETE FROM tags RETURNING *), y AS (INSERT INTO log SELECT * FROM x) SELECT count(*) FROM x", "delete tags (within) insert log (within)", []string{"postgres"}},
		{"WITH RECURSIVE x AS (SELECT 1) SEARCH DEPTH FIRST BY id SET ord DELETE FROM tags", "delete tags", []string{"postgres"}},
		{"WITH update AS (SELECT 1 AS id) DELETE FROM tags WHERE id IN (SELECT id FROM update)", "delete tags", []string{"postgres"}},
		{"WITH update AS (UPDATE tags SET name = '' RETURNING id) INSERT INTO tags SELECT * FROM update", "update tags (within) insert tags", []string{"postgres"}},
		{"WITH values (id) AS (SELECT 1) UPDATE tags SET name = ''", "update tags", []string{"postgres"}},
		{"WITH replace AS (SELECT 1) UPDATE tags SET name = ''", "update tags", []string{"sqlite", "postgres"}},
		{"WITH RECURSIVE insert AS (SELECT 1), merge AS MATERIALIZED (SELECT 2), delete AS (SELECT 3) UPDATE tags SET name = ''", "update tags", []string{"postgres"}},
		{"WITH recursive AS (SELECT 1) UPDATE tags SET name = ''", "update tags", []string{"postgres"}},
		{"WITH RECURSIVE x AS (SELECT 1) SEARCH DEPTH FIRST BY insert, values SET delete CYCLE update SET merge USING replace DELETE FROM tags", "delete tags", []string{"postgres"}},
		{"WITH x AS (WITH update AS (SELECT 1) SELECT 2), y AS (DELETE FROM items) SELECT 3", "delete items (within)", []string{"postgres"}},
		{"EXPLAIN ANALYZE WITH update AS (SELECT 1) DELETE FROM tags", "delete tags (within)", []string{"postgres"}},
		{"EXPLAIN ANALYZE CREATE TABLE gone WITH (fillfactor=70) AS WITH update AS (DELETE FROM tags RETURNING *) SELECT * FROM update", "delete tags (within)", []string{"postgres"}},
		{"DO $$ BEGIN FOR r IN WITH update AS (SELECT 1) DELETE FROM tags RETURNING * LOOP NULL; END LOOP; END $$", "delete tags (within)", []string{"postgres"}},
		{"EXPLAIN DELETE FROM tags", "", all},
		{"EXPLAIN (ANALYZE, BUFFERS) DELETE FROM tags", "delete tags (within)", []string{"postgres"}},
		{"EXPLAIN (ANALYZE true, COSTS off) DELETE FROM tags", "delete tags (within)", []string{"postgres"}},
		{"EXPLAIN (ANALYZE false) DELETE FROM tags", "", []string{"postgres"}},
		{"EXPLAIN (COSTS off, ANALYZE OFF) DELETE FROM tags", "", []string{"postgres"}},
		{"EXPLAIN (ANALYZE 0) DELETE FROM tags", "", []string{"postgres"}},
		{"EXPLAIN (ANALYZE 1) DELETE FROM tags", "delete tags (within)", []string{"postgres"}},
		{"EXPLAIN ANALYZE UPDATE tags SET name = ''", "update tags (within)", []string{"postgres"}},
		{"ANALYZE FORMAT=JSON UPDATE tags SET name = ''", "update tags (within)", []string{"mysql"}},
		{"EXPLAIN (ANALYZE, FORMAT JSON) UPDATE tags SET name = ''", "update tags (within)", []string{"postgres"}},
		{"INSERT INTO 'tags' VALUES ('a')", "insert tags", []string{"sqlite"}},
		{"UPDATE 'ta''gs' SET name = 'a' WHERE name = 'b'", "update ta'gs", []string{"sqlite"}},
		{`DELETE FROM U&"t\0061gs" WHERE a = U&'\0061'`, "delete tags", []string{"postgres"}},
		{`DELETE FROM U&"t!0061!+000067s!!" UESCAPE '!'`, "delete tags!", []string{"postgres"}},
		{"CREATE TEMP TABLE gone AS WITH x AS (DELETE FROM tags RETURNING *) SELECT * FROM x", "delete tags (within)", []string{"postgres"}},
		{"CREATE TABLE gone (id) AS (WITH x AS (SELECT 1) SELECT * FROM x)", "", []string{"postgres"}},
		{"CREATE TABLE gone (id INT) AS SELECT 1; DELETE FROM tags", "delete tags (within)", []string{"mysql"}},
		{"BEGIN NOT ATOMIC UPDATE tags SET name = ''; DELETE FROM items; END", "update tags (within) delete items (within)", []string{"mysql"}},
		{"IF EXISTS (SELECT 1 FROM items) THEN UPDATE tags SET name = CASE WHEN 1 THEN REPLACE(a, 'b', 'c') ELSE INSERT(a, 1, 2, 'd') END; END IF", "update tags (within)", []string{"mysql"}},
		{"FOR r IN (SELECT id FROM items) DO DELETE FROM tags WHERE id = r.id; END FOR", "delete tags (within)", []string{"mysql"}},
		{"l: LOOP DELETE FROM tags; LEAVE l; END LOOP", "delete tags (within)", []string{"mysql"}},
		{"BEGIN; UPDATE tags SET name = ''; COMMIT", "update tags (within)", []string{"postgres"}},
		{"DO $$ BEGIN UPDATE tags SET name = 'x; DELETE FROM items'; END $$", "update tags (within)", []string{"postgres"}},
		{"DO LANGUAGE 'plpgsql' 'DECLARE r record; BEGIN FOR r IN DELETE FROM tags RETURNING * LOOP INSERT INTO items VALUES (''a''); END LOOP; END'", "delete tags (within) insert items (within)", []string{"postgres"}},
		{"DO $x$ <<l>> BEGIN IF 1 IN (1, 2) THEN TRUNCATE tags; ELSE PERFORM 1; END IF; END $x$ LANGUAGE plpgsql", "truncate tags (within)", []string{"postgres"}},
		{"SET lock_timeout='5s'; DO $$ BEGIN UPDATE tags SET name = 'x'; END $$", "update tags (within)", []string{"postgres"}},
		{"DO $$ BEGIN PERFORM 1; END $$; DO $$ BEGIN UPDATE tags SET name = 'x'; END $$", "update tags (within)", []string{"postgres"}},
		{"DO $$ BEGIN DO $x$ BEGIN DELETE FROM items; END $x$; UPDATE tags SET name = 'x'; END $$", "delete items (within) update tags (within)", []string{"postgres"}},
		{`DO E'BEGIN\n\tUPDATE tags SET name=''x'';\x44ELETE FROM items\; END' LANGUAGE E'plpgsql'`, "update tags (within) delete items (within)", []string{"postgres"}},
		{"DO 'BEGIN '\n'UPDATE tags SET name = ''x''; END'", "update tags (within)", []string{"postgres"}},
		{"INSERT INTO tags VALUES (1) ON CONFLICT (id) DO UPDATE SET name = 'DELETE FROM items'", "insert tags", []string{"postgres"}},
		{"DO SLEEP(1)", "", []string{"mysql"}},
		{"SET STATEMENT max_statement_time=1 FOR UPDATE tags SET name = ''", "update tags", []string{"mysql"}},
		{"SET foreign_key_checks = 0", "", []string{"mysql"}},
		{"CREATE TRIGGER x AFTER INSERT ON tags BEGIN INSERT INTO log VALUES (CASE WHEN 1 THEN 2 END); DELETE FROM tags; END; DELETE FROM items", "delete items (within)", []string{"sqlite"}},
		{"CREATE FUNCTION f() RETURNS trigger AS $x$ BEGIN DELETE FROM tags; END $x$ LANGUAGE plpgsql; DELETE FROM items", "delete items (within)", []string{"postgres"}},
		{"SELECT E'\\'; DELETE FROM tags; --'", "", []string{"postgres"}},
		{"SELECT $1, $$; DELETE FROM tags$$; UPDATE tags SET a = $2", "update tags (within)", []string{"postgres"}},
		{"SELECT update, delete FROM tags", "", []string{"postgres"}},
		{"(((", "", all},
		{"UPDATE", "", all},
		{"DELETE FROM", "", all},
		{"DELETE FROM 'tags", "", []string{"postgres", "mysql"}},
	} {
		for _, dialect := range c.in {
			t.Run(dialect+": "+c.sql, func(t *testing.T) {
				var got []string
				for _, w := range writesOf(dialect, c.sql) {
					s := w.verb + " " + w.table
					if !w.main {
						s += " (within)"
					}
					got = append(got, s)
				}
				require.Equal(t, c.want, strings.Join(got, " "))
			})
		}
	}
}

// FuzzWritesOf looks for texts on which the classifier fails, and proves that
// what stands before a statement does not hide it.
func FuzzWritesOf(f *testing.F) {
	for _, s := range []string{
		"SELECT 1", "WITH x AS (DELETE FROM a) UPDATE b SET c = 'd'", "/*! UPDATE t */", "$a$ ; $a$", "CREATE TRIGGER BEGIN END", "UPDATE a, (b JOIN c) SET a.x = 1, d",
		"DELETE a.* FROM b a USING", "INSERT 'a''b\\", "EXPLAIN (ANALYZE) TRUNCATE a.b.c, d", "COPY a (b) FROM", "LOAD INTO TABLE", "[", "E'", "1a.2b", `U&"\0061" UESCAPE '!'`, "DO $$ BEGIN UPDATE t", "IF a THEN UPDATE b", "CREATE TABLE a AS WITH", `U&"\0`, `U&""UESCAPE'`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, dialect := range []string{"sqlite", "postgres", "mysql"} {
			for _, w := range writesOf(dialect, text) {
				require.NotEmpty(t, w.verb)
				if utf8.ValidString(text) && strings.TrimSpace(w.table) == "" && !strings.ContainsAny(text, "\"`['") {
					t.Fatalf("a write to no table in %q", text)
				}
			}
			quoted := "/*" + strings.NewReplacer("*", "", "/", "", "!", "").Replace(text) + "*/"
			if dialect == "mysql" {
				quoted = strings.Replace(quoted, "/*M", "/* M", 1)
			}
			got := writesOf(dialect, quoted+" UPDATE tags SET a = 1")
			require.Equal(t, []written{{verb: "update", table: "tags", main: true}}, got, quoted)
		}
	})
}

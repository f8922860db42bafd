package hooks

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMigrationsAreToldByTheWordsOfTheirStatements(t *testing.T) {
	all := []string{"sqlite", "postgres", "mysql"}
	for _, c := range []struct {
		sql      string
		want     bool
		dialects []string
	}{
		{"ALTER TABLE tags ADD COLUMN note text", true, all},
		{"alter\ntable tags ADD COLUMN note text", true, all},
		{"\t-- add it\nALTER TABLE tags ADD COLUMN note text", true, all},
		{"/* add it */ ALTER TABLE tags ADD COLUMN note text", true, all},
		{"/*!50000 ALTER TABLE tags ADD COLUMN note text */", true, []string{"mysql"}},
		{"/*!50000 ALTER TABLE tags ADD COLUMN note text */", false, []string{"sqlite", "postgres"}},
		{"# add it\nALTER TABLE tags ADD COLUMN note text", true, []string{"mysql"}},
		{"UPDATE tags SET a = ';'; DROP TABLE tags", true, all},
		{";CREATE INDEX i ON tags (a)", true, all},
		{"RENAME TABLE tags TO words", true, []string{"mysql"}},
		{"DO $$ BEGIN ALTER TABLE tags ADD COLUMN note text; END $$", true, []string{"postgres"}},
		{"SET lock_timeout='5s'; DO $$ BEGIN ALTER TABLE tags ADD COLUMN note text; END $$", true, []string{"postgres"}},
		{"BEGIN NOT ATOMIC ALTER TABLE tags ADD COLUMN note text; END", true, []string{"mysql"}},
		{"l: BEGIN DROP TABLE tags; END", true, []string{"mysql"}},
		{"IF NOT EXISTS (SELECT 1) THEN ALTER TABLE tags ADD COLUMN note text; END IF", true, []string{"mysql"}},
		{"IF EXISTS (SELECT 1) THEN SELECT 1; ELSE DROP TABLE tags; END IF", true, []string{"mysql"}},
		{"WHILE @a DO DROP TABLE tags; END WHILE", true, []string{"mysql"}},
		{"LOOP DROP TABLE tags; END LOOP", true, []string{"mysql"}},
		{"REPEAT DROP TABLE tags; UNTIL 1 END REPEAT", true, []string{"mysql"}},
		{"SET STATEMENT lock_wait_timeout=5 FOR ALTER TABLE tags ADD COLUMN note text", true, []string{"mysql"}},
		{"SELECT * FROM tags WHERE a IN (1) FOR UPDATE", false, all},
		{"", false, all},
		{"-- ALTER TABLE tags", false, all},
		{"UPDATE tags SET a = '; ALTER TABLE tags'", false, all},
		{"UPDATE tags SET a = 1 -- ; DROP TABLE tags", false, all},
		{`UPDATE tags SET "drop" = 1; "alter"`, false, all},
		{"SELECT altered FROM tags; SELECT create_time FROM tags", false, all},
	} {
		for _, dialect := range c.dialects {
			require.Equal(t, c.want, changesTables(dialect, c.sql), dialect+": "+c.sql)
		}
	}
}

// Package dbtest runs the library on real databases: SQLite, PostgreSQL and
// MariaDB. It is a module of its own, so that the drivers stay out of the
// released one, and it is not released.
//
// [Open] gives a test an empty database of its own. [Oracle] tells what really
// happened in it: row triggers write down every change, and
// [Oracle.Compare] holds audit events against that. The models of a workshop,
// from [Customer] to [Lid], are each hard to audit in another way.
package dbtest

// GORM's driver for SQLite asks for an older engine.
import _ "github.com/glebarez/go-sqlite"

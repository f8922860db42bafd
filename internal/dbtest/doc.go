// Package dbtest runs the library on real databases: SQLite, PostgreSQL and
// MariaDB. It is a module of its own, so that the drivers stay out of the
// released one, and it is not released.
package dbtest

import (
	_ "github.com/glebarez/go-sqlite"
	_ "github.com/glebarez/sqlite"
	_ "github.com/gormtrail/audit"
	_ "gorm.io/driver/mysql"
	_ "gorm.io/driver/postgres"
)

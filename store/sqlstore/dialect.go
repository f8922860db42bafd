package sqlstore

// Dialect is a kind of database. The zero Dialect is not valid.
type Dialect string

// The databases that are supported. MySQL stands for MariaDB too.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
	MySQL    Dialect = "mysql"
)

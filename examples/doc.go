// Package examples holds runnable programs that use the library.
package examples

import (
	_ "github.com/glebarez/go-sqlite"
	_ "github.com/glebarez/sqlite"
	_ "github.com/gormtrail/audit"
)

// Package clustertest runs the library on servers that belong together: on three
// nodes of MariaDB Galera, all of which are written to, and on a PostgreSQL that
// is replicated to another one for reports. The tests start the servers themselves,
// on 127.0.0.1, and end them.
//
// A test whose servers are not installed is skipped, or fails if AUDIT_TEST_REQUIRE
// names them: galera, replication. What is proved here is told in
// docs/distributed.md.
package clustertest

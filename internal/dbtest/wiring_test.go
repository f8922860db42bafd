package dbtest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/hooks"
	"github.com/gormtrail/audit/store/memstore"
	"github.com/gormtrail/audit/store/sqlstore"
)

// newStore makes a store for a database.
type newStore func(t *testing.T, database *Database) audit.Store

// storeInDatabase keeps events beside the rows that they tell of.
func storeInDatabase(t *testing.T, database *Database) audit.Store {
	t.Helper()
	store, err := sqlstore.New(database.SQL(), database.Dialect, nil)
	require.NoError(t, err)
	require.NoError(t, store.Migrate(context.Background()))
	return store
}

// storeInMemory cannot join a transaction.
func storeInMemory(*testing.T, *Database) audit.Store { return memstore.New() }

// wire puts the hooks into db and returns their store.
func wire(t *testing.T, db *gorm.DB, database *Database, store newStore, cfg *audit.Config, opts []hooks.Option) audit.Store {
	t.Helper()
	s := store(t, database)
	rec, err := audit.New(s, cfg)
	require.NoError(t, err)
	require.NoError(t, db.Use(hooks.New(rec, opts...)))
	return s
}

// workshopModels registers every model of [Watches].
func workshopModels() []hooks.Option {
	return []hooks.Option{
		hooks.Model[Customer]("customer"),
		hooks.Model[Order]("order"),
		hooks.Model[Item]("item"),
		hooks.Model[Spec]("spec"),
		hooks.Model[Remark]("remark"),
		hooks.Model[Label]("label"),
		hooks.Model[Shift]("shift"),
		hooks.Model[Seat]("seat"),
		hooks.Model[Device]("device"),
		hooks.Model[Flag]("flag"),
		hooks.Model[Pinned]("pinned"),
		hooks.Model[Hooked]("hooked"),
		hooks.Model[Folder]("folder"),
		hooks.Model[Crate]("crate", hooks.Cascade[Box]("crate_id"), hooks.Cascade[Lid]("crate_id")),
		hooks.Model[Box]("box"),
		hooks.Model[Lid]("lid"),
	}
}

func luggageModel() []hooks.Option { return []hooks.Option{hooks.Model[Luggage]("luggage")} }

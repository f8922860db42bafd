package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gormtrail/audit"
)

// SettingsConfig is how [Settings] work. The zero SettingsConfig, and a nil
// one, work as their fields say.
type SettingsConfig struct {
	// Now is the clock by which copies grow old. Defaults to time.Now.
	Now func() time.Time

	// Recorder is the config of the Recorder that writes the settings' own
	// events. They are recorded whatever its Gate says. Defaults to the zero
	// audit.Config.
	Recorder *audit.Config
}

// Settings are what each workspace records, kept in the store's database: a
// master switch and one switch per entity type, all off until they are turned
// on. Every change of them is itself an event.
//
//	settings, err := store.Settings(nil)
//	rec, err := audit.New(store, &audit.Config{Gate: settings})
//	err = settings.Set(ctx, "w1", func(s *sqlstore.Switches) {
//		s.Enabled = true
//		s.Turn(true, audit.TypeProject, audit.TypeTimeEntry)
//	})
//
// # How current they are
//
// Settings are an [audit.Gate] that answers from memory. A copy is at most a
// second old: then the next statement reads the workspace's row once more, on
// its own connection. A change by [Settings.Set] counts in this process at
// once, in others within the second.
//
// What a transaction has not committed is never kept for others: a change by
// [Settings.SetTx] decides in its own transaction alone until it is seen to be
// committed. Nor does an old snapshot bring old settings back, since each
// change has a number. Two things remain. While a transaction at REPEATABLE
// READ (MySQL's default) lasts, its statements may find a copy confirmed that
// has been changed since the transaction began; statements of others correct
// it when they read. And two Settings of one process know nothing of each
// other's transactions: have one per database.
//
// Settings are safe for use by several goroutines at once. Statements take no
// lock.
type Settings struct {
	store *Store
	rec   *audit.Recorder
	now   func() time.Time
	// copies is a map of workspaces to *settingsCopy.
	copies sync.Map
}

var _ audit.Gate = (*Settings)(nil)

// maxAge is how old a copy may be.
const maxAge = time.Second

// Settings returns the settings kept in the store's database. A nil cfg is the
// zero [SettingsConfig].
func (s *Store) Settings(cfg *SettingsConfig) (*Settings, error) {
	var c SettingsConfig
	if cfg != nil {
		c = *cfg
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	rec, err := audit.New(s, c.Recorder)
	if err != nil {
		return nil, err
	}
	return &Settings{store: s, rec: rec, now: c.Now}, nil
}

// Records implements [audit.Gate].
func (s *Settings) Records(ctx context.Context, tx audit.DBTX, workspace string, t audit.EntityType) (bool, error) {
	now := s.now()
	kept := s.copyOf(workspace)
	if known := kept.known.Load(); known != nil && known.fresh(now) {
		return known.switches.Records(t), nil
	}
	if tx == nil {
		state, err := s.committed(ctx, workspace)
		return state.switches.Records(t), err
	}
	state, err := s.read(ctx, tx, workspace, false)
	if err != nil {
		return false, err
	}
	if open := kept.open.Load(); open != 0 && state.version == open {
		// Perhaps it is this transaction's own, perhaps it was committed.
		s.confirm(ctx, kept, workspace, now)
		return state.switches.Records(t), nil
	}
	return kept.keep(state, false).switches.Records(t), nil
}

// Get returns a workspace's settings as they are committed. The caller may
// change what it returns.
func (s *Settings) Get(ctx context.Context, workspace string) (Switches, error) {
	state, err := s.committed(ctx, workspace)
	return clone(state.switches), err
}

// Set changes a workspace's settings: change gets them as they are and turns
// some. In one transaction with the change it writes one event, of the type
// [audit.TypeSettings] and with the workspace as the entity's id, made by the
// context's actor. If nothing differs, nothing is written. change may be called
// more than once.
func (s *Settings) Set(ctx context.Context, workspace string, change func(*Switches)) error {
	tx, err := s.store.db.BeginTx(ctx, nil)
	if err != nil {
		return settingsError(workspace, err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	written, err := s.write(ctx, tx, workspace, change)
	if err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return settingsError(workspace, fmt.Errorf("commit: %w", err))
	}
	if written != nil {
		s.copyOf(workspace).keep(*written, false)
	}
	return nil
}

// SetTx is [Settings.Set] inside the caller's transaction. The change takes
// effect within a second after tx is committed, in the statements of tx itself
// within a second. [Settings.Get] after the commit hastens it. Until the change
// is seen to be committed, by a read on a connection that is free, statements
// that see it read it anew each time.
func (s *Settings) SetTx(ctx context.Context, tx audit.DBTX, workspace string, change func(*Switches)) error {
	written, err := s.write(ctx, tx, workspace, change)
	if err == nil && written != nil {
		s.copyOf(workspace).open.Store(written.version)
	}
	return err
}

// settingsState is a workspace's settings at one version. It is never changed.
type settingsState struct {
	// version is 0 if the workspace has no row.
	version  int64
	switches Switches
	// at is when the reading of it began.
	at time.Time
}

func (s *settingsState) fresh(now time.Time) bool {
	age := now.Sub(s.at)
	return age >= 0 && age < maxAge // a clock that was set back makes nothing fresh
}

// settingsCopy is what is known of a workspace.
type settingsCopy struct {
	known atomic.Pointer[settingsState]
	// open is the version that SetTx wrote last and that was not seen to be
	// committed, else 0.
	open atomic.Int64
	// tried is when that was last looked for, in nanoseconds since 1970.
	tried atomic.Int64
}

func (s *Settings) copyOf(workspace string) *settingsCopy {
	if c, ok := s.copies.Load(workspace); ok {
		return c.(*settingsCopy)
	}
	c, _ := s.copies.LoadOrStore(workspace, new(settingsCopy))
	return c.(*settingsCopy)
}

// keep makes a state known unless a newer one is, and returns what is known.
// A version that has gone back is an old snapshot, unless the state was read
// outside of every transaction and after the newer one: then the table was
// restored from a backup.
func (c *settingsCopy) keep(state settingsState, current bool) settingsState {
	for {
		known := c.known.Load()
		if known != nil {
			back := state.version < known.version && (!current || !state.at.After(known.at))
			if back || state.version == known.version && !state.at.After(known.at) {
				return *known
			}
		}
		if c.known.CompareAndSwap(known, &state) {
			return state
		}
	}
}

// committed reads on a connection of its own what is committed, and keeps it.
func (s *Settings) committed(ctx context.Context, workspace string) (settingsState, error) {
	state, err := s.read(ctx, s.store.db, workspace, false)
	if err != nil {
		return settingsState{}, err
	}
	kept := s.copyOf(workspace)
	if open := kept.open.Load(); state.version >= open {
		kept.open.CompareAndSwap(open, 0)
	}
	return kept.keep(state, true), nil
}

// confirmTimeout bounds the wait for a second connection.
const confirmTimeout = 100 * time.Millisecond

// confirm looks, once a second at most, whether the version that SetTx wrote
// is committed. It needs a second connection, which a statement must not wait
// for: if none is free, the answer has to wait.
func (s *Settings) confirm(ctx context.Context, kept *settingsCopy, workspace string, now time.Time) {
	tried := kept.tried.Load()
	if age := now.UnixNano() - tried; age >= 0 && age < int64(maxAge) || !kept.tried.CompareAndSwap(tried, now.UnixNano()) {
		return
	}
	if pool := s.store.db.Stats(); pool.Idle == 0 && pool.MaxOpenConnections > 0 && pool.OpenConnections >= pool.MaxOpenConnections {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	_, _ = s.committed(ctx, workspace) // without an answer it is tried again
}

// read reads the workspace's row, if wanted with a lock on it.
func (s *Settings) read(ctx context.Context, tx audit.DBTX, workspace string, lock bool) (settingsState, error) {
	state := settingsState{at: s.now()}
	n := s.store.names
	text := "SELECT version, switches FROM " + n.qualified(n.settings) + " WHERE workspace = " + n.dialect.placeholder(1)
	if lock && n.dialect != SQLite {
		text += " FOR UPDATE"
	}
	var switches []byte
	switch err := tx.QueryRowContext(ctx, text, workspace).Scan(&state.version, &switches); {
	case errors.Is(err, sql.ErrNoRows):
		return state, nil
	case err != nil:
		return settingsState{}, settingsError(workspace, err)
	}
	var err error
	if state.switches, err = decodeSwitches(switches); err != nil {
		return settingsState{}, settingsError(workspace, err)
	}
	return state, nil
}

// write changes the row and records that. It returns nil if nothing differs.
func (s *Settings) write(ctx context.Context, tx audit.DBTX, workspace string, change func(*Switches)) (*settingsState, error) {
	if workspace == "" || len(workspace) > maxName {
		return nil, fmt.Errorf("sqlstore: the workspace of settings must have 1 to %d bytes, has %d", maxName, len(workspace))
	}
	if err := s.lock(ctx, tx, workspace); err != nil {
		return nil, err
	}
	before, err := s.read(ctx, tx, workspace, false)
	if err != nil {
		return nil, err
	}
	if before.version == 0 {
		if _, changes := before.changed(change); len(changes) == 0 {
			return nil, nil
		}
		if err := s.insert(ctx, tx, workspace); err != nil {
			return nil, err
		}
	}
	// Once more, with a lock: somebody may just have changed it.
	if before, err = s.read(ctx, tx, workspace, true); err != nil {
		return nil, err
	}
	next, changes := before.changed(change)
	if len(changes) == 0 {
		return nil, nil
	}
	if err := s.update(ctx, tx, workspace, next); err != nil {
		return nil, err
	}
	op := audit.Updated
	if before.version == 0 {
		op, changes = audit.Created, createdSwitches(next.switches)
	}
	return next, s.record(ctx, tx, workspace, op, changes)
}

// changed is the state after s, and what differs.
func (s settingsState) changed(change func(*Switches)) (*settingsState, []audit.Change) {
	next := &settingsState{version: s.version + 1, switches: clone(s.switches), at: s.at}
	change(&next.switches)
	next.switches = clone(next.switches) // change may have kept the map
	return next, turned(s.switches, next.switches)
}

// lock makes a transaction of SQLite a writer before it reads: one that has
// read cannot wait to become one.
func (s *Settings) lock(ctx context.Context, tx audit.DBTX, workspace string) error {
	n := s.store.names
	if n.dialect != SQLite {
		return nil
	}
	_, err := tx.ExecContext(ctx, "UPDATE "+n.qualified(n.settings)+" SET version = version WHERE workspace = ?", workspace)
	return settingsError(workspace, err)
}

// insert makes the row of version 0, which stands for none, unless there is a
// row.
func (s *Settings) insert(ctx context.Context, tx audit.DBTX, workspace string) error {
	n := s.store.names
	text := "INSERT INTO " + n.qualified(n.settings) + " (workspace, version, switches) VALUES (" + n.dialect.placeholder(1) + ", 0, '{}')"
	if n.dialect == MySQL {
		// Two that find the row there both lock it alone; INSERT IGNORE would
		// let them share the lock, and both wait for the other to let go.
		text += " ON DUPLICATE KEY UPDATE version = version"
	} else {
		text += " ON CONFLICT DO NOTHING"
	}
	_, err := tx.ExecContext(ctx, text, workspace)
	return settingsError(workspace, err)
}

// update writes the row, which is locked.
func (s *Settings) update(ctx context.Context, tx audit.DBTX, workspace string, next *settingsState) error {
	switches, err := encodeSwitches(next.switches)
	if err != nil {
		return settingsError(workspace, err)
	}
	n, d := s.store.names, s.store.names.dialect
	result, err := tx.ExecContext(ctx, "UPDATE "+n.qualified(n.settings)+" SET version = "+d.placeholder(1)+", switches = "+d.placeholder(2)+
		" WHERE workspace = "+d.placeholder(3)+" AND version = "+d.placeholder(4), next.version, switches, workspace, next.version-1)
	if err != nil {
		return settingsError(workspace, err)
	}
	updated, err := result.RowsAffected()
	if err == nil && updated != 1 {
		err = errors.New("they were changed at the same time, try again")
	}
	return settingsError(workspace, err)
}

// record writes the event of a change.
func (s *Settings) record(ctx context.Context, tx audit.DBTX, workspace string, op audit.Operation, changes []audit.Change) error {
	return s.rec.RecordTx(ctx, tx, audit.Event{
		Workspace: workspace,
		Operation: op,
		Entity:    audit.Entity{Type: audit.TypeSettings, ID: workspace},
		Changes:   changes,
	})
}

func settingsError(workspace string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sqlstore: settings of workspace %q: %w", workspace, err)
}

// Package retention forgets on time: it deletes the events that a [Policy] does not
// keep any longer, after it has put them into an archive if there is one.
//
//	keeper, err := retention.New(rec, &retention.Config{
//		Policy: retention.Policy{ // a year, but
//			Rules: []retention.Rule{{Types: []audit.EntityType{audit.TypeTag}, Keep: 30 * 24 * time.Hour}},
//			Holds: []audit.Filter{{Workspace: "w1", Entities: disputed}},
//		},
//		Archive: archives, // from archive.New
//	})
//	result, err := keeper.Purge(ctx)        // once
//	err = keeper.Run(ctx, time.Hour)        // or in a goroutine of the host, until ctx ends
//
// # What it does not do
//
// It deletes nothing that is not in a verified archive, if it has one; that is on
// hold; that is younger than a day; and nothing at all if the clock seems to have
// jumped ([ErrClock]). It deletes nothing without a trace: each transaction that
// deletes events records how many and of what time, or does not delete them.
//
// # How it works with writers
//
// It deletes in batches, each in a transaction of its own, of as many events as take
// 50 ms, and rests in between ([Config.Share]). What it reads
// before holds no lock. Nothing has to be stopped for it, and the store may be
// protected against deletes by others (sqlstore's Protect).
//
// A store that keeps months apart ([Dropper]) drops one of which nothing is kept as a
// whole, after the same checks.
package retention

package main

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/gormtrail/audit/store/sqlstore"
)

// maxGrowth is how many times as much auditing may take among very many rows as
// among 1000: nothing, but for what measuring is not exact.
const maxGrowth = 1.25

// crowdedEntries write to tables of very many rows.
func crowdedEntries(bare, hooked *gorm.DB) []variant {
	return []variant{
		through[bareCrowded]{target[bareCrowded]{"bare, many", bare, func(e Entry) bareCrowded { return bareCrowded{e} }, ""}},
		through[hookCrowded]{target[hookCrowded]{"hooks, many", hooked, func(e Entry) hookCrowded { return hookCrowded{e} }, sqlstore.DefaultTable}},
	}
}

// crowd fills a table with rows made of the 1000 that stay in another.
func (b *bench) crowd(table, from string, rows int) error {
	if err := stand(b, from); err != nil {
		return err
	}
	if err := stand(b, table); err != nil {
		return err
	}
	text := fmt.Sprintf(`INSERT INTO %s (id, workspace_id, user_id, crowd, description, billable, amount, started)
		SELECT concat(substr(x.id, 1, 18), substr(y.id, 19)), x.workspace_id, x.user_id, %d, x.description, x.billable, x.amount, x.started
		FROM %s x CROSS JOIN %s y WHERE x.crowd = %d AND y.crowd = %d LIMIT %d`, table, filling, from, from, standing, standing, rows-many)
	return b.exec(table, text)
}

// measureGrowth measures operations on one row of a table of 1000 rows and of
// one of very many: what auditing adds must be the same.
func (b *bench) measureGrowth(ctx context.Context, size size) error {
	hooked, err := openHooked(b.database, b.database.SQL())
	if err != nil {
		return err
	}
	few, crowded := []variant{bareEntries(b.raw), hookEntries(hooked)}, crowdedEntries(b.raw, hooked)
	for _, v := range crowded {
		if err := b.crowd(v.table(), few[0].table(), size.rows); err != nil {
			return fmt.Errorf("fill %s: %w", v.table(), err)
		}
	}
	results, err := b.measure(ctx, single()[:3], append(few, crowded...), size.n)
	if err != nil {
		return err
	}
	fmt.Printf("%s, one row among %d and among %d\n", b.database.Name, many, size.rows)
	out := newTable([]string{"operation", "runs", "bare", "hooks", "hooks-bare", "hooks/bare", "bare, many", "hooks, many", "hooks-bare, many", "hooks/bare, many", "growth of hooks/bare"})
	for _, r := range results {
		bare, hooks, bareMany, hooksMany := r.median("bare"), r.median("hooks"), r.median("bare, many"), r.median("hooks, many")
		small, large := divided(hooks, bare), divided(hooksMany, bareMany)
		out.row(r.operation, fmt.Sprint(len(r.times["bare"])), micro(bare), micro(hooks), micro(hooks-bare), fmt.Sprintf("%.2f", small),
			micro(bareMany), micro(hooksMany), micro(hooksMany-bareMany), fmt.Sprintf("%.2f", large),
			b.limits.figure(fmt.Sprintf("%s, %s among %d rows, growth of hooks/bare", b.database.Name, r.operation, size.rows), large/small, maxGrowth))
	}
	out.print()
	return nil
}

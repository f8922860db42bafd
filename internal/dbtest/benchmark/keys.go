package main

import (
	"context"
	"strconv"

	"gorm.io/gorm"

	"github.com/gormtrail/audit/store/sqlstore"
)

// numberedEntries are those whose key the database makes.
func numberedEntries(bare, hooked *gorm.DB, d sqlstore.Dialect) []variant {
	work := func(e Entry) Numbered { return Numbered{Work: e.Work} }
	return []variant{
		through[bareNumbered]{target[bareNumbered]{"bare", bare, func(e Entry) bareNumbered { return bareNumbered{work(e)} }, ""}},
		byHand[handNumbered]{
			target[handNumbered]{"by hand", bare, func(e Entry) handNumbered { return handNumbered{work(e)} }, handLog},
			func(n *handNumbered) *Entry { return numbered(&n.Numbered) }, d,
		},
		through[hookNumbered]{target[hookNumbered]{"hooks", hooked, func(e Entry) hookNumbered { return hookNumbered{work(e)} }, sqlstore.DefaultTable}},
	}
}

// numbered is what auditing by hand writes of an entry with a number.
func numbered(n *Numbered) *Entry {
	return &Entry{ID: strconv.FormatInt(n.ID, 10), Work: n.Work}
}

// chargedEntries are those whose events show the label of a foreign key, which
// is looked up; auditing by hand does without.
func chargedEntries(bare, hooked *gorm.DB, d sqlstore.Dialect) []variant {
	charge := func(e Entry) Charged { return Charged{Entry: e, ProjectID: theProject} }
	return []variant{
		through[bareCharged]{target[bareCharged]{"bare", bare, func(e Entry) bareCharged { return bareCharged{charge(e)} }, ""}},
		byHand[handCharged]{
			target[handCharged]{"by hand", bare, func(e Entry) handCharged { return handCharged{charge(e)} }, handLog},
			func(c *handCharged) *Entry { return &c.Entry }, d,
		},
		through[hookCharged]{target[hookCharged]{"hooks", hooked, func(e Entry) hookCharged { return hookCharged{charge(e)} }, sqlstore.DefaultTable}},
	}
}

// measureKeys measures what labels and keys of the database cost on a create.
// There are no goals for them.
func (b *bench) measureKeys(ctx context.Context, size size) error {
	hooked, err := openHooked(b.database, b.database.SQL())
	if err != nil {
		return err
	}
	create := single()[0]
	create.prepare = sweep
	for _, c := range []struct {
		title    string
		variants []variant
	}{
		{"keys made by the database", numberedEntries(b.raw, hooked, b.database.Dialect)},
		{"a label looked up for a foreign key", chargedEntries(b.raw, hooked, b.database.Dialect)},
	} {
		results, err := b.measure(ctx, []operation{create}, c.variants, size.n)
		if err != nil {
			return err
		}
		b.print(c.title, results, []string{"bare", "by hand", "hooks", "hooks/bare", "hooks/by hand", "by hand/bare"}, nil)
	}
	return nil
}

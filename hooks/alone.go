package hooks

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// A statement that records itself needs no transaction: row and event are one
// statement. Under SkipDefaultTransaction it is left alone, in one round trip, and a
// transaction is begun only once it turns out that there is no such form, or that
// the row is doubtful. That the statement finds out itself, and fails; it runs again
// in the transaction then.

// mayRunAlone reports whether a statement is in no transaction and may be left so
// until its text is known: if nothing else is written with it.
func (p *Plugin) mayRunAlone(stmt *gorm.Statement) bool {
	return p.composer != nil && !p.bestEffort && !p.watches() && !p.failedWrites &&
		!inTransaction(stmt.ConnPool) && !savesAssociations(stmt)
}

// savesAssociations reports whether GORM may save associations with a statement.
func savesAssociations(stmt *gorm.Statement) bool {
	if stmt.Schema == nil {
		return false
	}
	r := &stmt.Schema.Relationships
	for _, relations := range [...][]*schema.Relationship{r.BelongsTo, r.HasOne, r.HasMany, r.Many2Many} {
		if slices.ContainsFunc(relations, func(r *schema.Relationship) bool { return hasAssociated(stmt, r) }) {
			return true
		}
	}
	return false
}

// hasAssociated reports whether what is written may refer to something by a relation.
func hasAssociated(stmt *gorm.Statement, r *schema.Relationship) bool {
	v := stmt.ReflectValue // to which GORM has assigned those of a map
	if !v.IsValid() || v.Type() != stmt.Schema.ModelType {
		return true // many, or what is not looked through
	}
	_, zero := r.Field.ValueOf(stmt.Context, v)
	return !zero
}

// untransacted is a capture that is in no transaction. One may be begun all the
// same, by a callback of the application.
type untransacted struct{ gorm.ConnPool }

// BeginTx implements gorm.ConnPoolBeginner.
func (u untransacted) BeginTx(ctx context.Context, opts *sql.TxOptions) (gorm.ConnPool, error) {
	c, _ := captureOf(u)
	switch pool := c.ConnPool.(type) {
	case gorm.TxBeginner:
		return pool.BeginTx(ctx, opts)
	case gorm.ConnPoolBeginner:
		return pool.BeginTx(ctx, opts)
	}
	return nil, gorm.ErrInvalidTransaction
}

// begin begins the transaction that a statement on its own needs after all.
func (c *capture) begin() error {
	stmt := c.db.Statement
	stmt.ConnPool = c.ConnPool
	err := c.plugin.openTransactionOn(c.db)
	c.ConnPool, c.tx, c.alone = stmt.ConnPool, connection(stmt.ConnPool), false
	c.unit.tx, stmt.ConnPool = c.tx, c
	return err
}

// doubtWord is what PostgreSQL cannot take for a boolean if a row is doubtful.
const doubtWord = "audit_doubtful"

// errDoubtful is the error of a statement on its own that wrote nothing, since its
// row is doubtful.
var errDoubtful = errors.New("the row is doubtful")

// isDoubtful reports whether that is what PostgreSQL says.
func isDoubtful(err error) bool {
	var state interface{ SQLState() string }
	return errors.As(err, &state) && state.SQLState() == "22P02" && strings.Contains(err.Error(), doubtWord)
}

// recordingItself runs a statement by the form that records itself, in a transaction
// if it has to; done is false if there is no such form.
func recordingItself[R any](ctx context.Context, c *capture, text string, args []any, run func(context.Context, string, []any) (R, error)) (result R, done bool, err error) {
	for {
		form, more, err := c.compose(ctx, text, args)
		if err != nil {
			return result, true, failed(err)
		}
		if form != "" {
			if result, err := run(ctx, form, more); !errors.Is(err, errDoubtful) {
				return result, true, err
			}
		}
		if !c.alone {
			return result, false, nil
		}
		if err := c.begin(); err != nil {
			return result, true, err
		}
	}
}

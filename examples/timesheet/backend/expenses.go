package backend

import (
	"context"
	"fmt"
	"math"
	"time"

	"gorm.io/gorm"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/internal/timesheet"
)

// CreateCategory adds a category of expenses. Price is what one unit costs;
// zero lets each expense name its total.
func (b *Backend) CreateCategory(ctx context.Context, name, unit string, price timesheet.Money) (string, error) {
	c := timesheet.Category{ID: b.newID(), WorkspaceID: audit.WorkspaceFrom(ctx), Name: name, Unit: unit, Price: price}
	return c.ID, create(ctx, b, &c)
}

// SetPrice changes what one unit of a category costs, and the totals of its
// expenses with it.
func (b *Backend) SetPrice(ctx context.Context, category string, amount int64) error {
	return b.write(ctx, func(tx *gorm.DB) error {
		err := one[timesheet.Category](category, tx.Model(&timesheet.Category{}).Scopes(in(ctx)).
			Where("id = ?", category).Update("price_amount", amount))
		if err != nil {
			return err
		}
		return tx.Model(&timesheet.Expense{}).Where("category_id = ?", category).
			Update("total_amount", gorm.Expr("ROUND(quantity * ?)", amount)).Error
	})
}

// RenameCategory gives a category another name.
func (b *Backend) RenameCategory(ctx context.Context, id, name string) error {
	return change[timesheet.Category](ctx, b, id, map[string]any{"name": name})
}

// DeleteCategory deletes a category. Its expenses stay, uncategorised.
func (b *Backend) DeleteCategory(ctx context.Context, id string) error {
	return remove[timesheet.Category](ctx, b, id)
}

// NewExpense is what an expense is made from.
type NewExpense struct {
	// User who spent the money. Defaults to the one who acts.
	User     string
	Date     time.Time
	Project  string
	Category string
	// Quantity counts the units of a category with a price.
	Quantity float64
	// Total is what was spent where the category has no price.
	Total timesheet.Money
	Notes string
}

// AddExpense adds an expense, one's own or another's.
func (b *Backend) AddExpense(ctx context.Context, e NewExpense) (id string, err error) {
	expense := timesheet.Expense{
		ID: b.newID(), WorkspaceID: audit.WorkspaceFrom(ctx), UserID: e.User, Date: e.Date,
		ProjectID: nullable(e.Project), CategoryID: nullable(e.Category), Quantity: 1, Total: e.Total, Notes: e.Notes, Billable: true,
	}
	if expense.UserID == "" {
		expense.UserID = actor(ctx)
	}
	err = b.write(ctx, func(tx *gorm.DB) error {
		var category timesheet.Category
		if err := tx.Scopes(in(ctx)).Take(&category, "id = ?", e.Category).Error; err != nil {
			return fmt.Errorf("%w: category %q: %w", ErrNotFound, e.Category, err)
		}
		if category.Price.Amount != 0 {
			expense.Quantity = e.Quantity
			expense.Total = timesheet.Money{
				Amount:   int64(math.Round(e.Quantity * float64(category.Price.Amount))),
				Currency: category.Price.Currency,
			}
		}
		return tx.Create(&expense).Error
	})
	return expense.ID, err
}

// EditExpense changes what an expense says it was for, and its total.
func (b *Backend) EditExpense(ctx context.Context, id, notes string, amount int64) error {
	return change[timesheet.Expense](ctx, b, id, map[string]any{"notes": notes, "total_amount": amount})
}

// DeleteExpense deletes an expense; RestoreExpense brings it back.
func (b *Backend) DeleteExpense(ctx context.Context, id string) error {
	return remove[timesheet.Expense](ctx, b, id)
}

// RestoreExpense undoes DeleteExpense.
func (b *Backend) RestoreExpense(ctx context.Context, id string) error {
	return restore[timesheet.Expense](ctx, b, id)
}

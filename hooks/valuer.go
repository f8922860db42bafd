package hooks

import (
	"database/sql"
	"database/sql/driver"
	"reflect"

	"github.com/google/uuid"
	"gorm.io/gorm"
)

// askValues asks the values that convert themselves, by driver.Valuer or a
// serializer of GORM's, once before the statement does. If one of them panics, this
// goes to the application as it does without the plugin. Within a query of a
// transaction, database/sql would keep the transaction locked for good, and who
// rolls it back would wait for ever.
func askValues(args []any) {
	for _, arg := range args {
		switch arg.(type) {
		case nil, uuid.UUID, sql.NullString, sql.NullInt64, sql.NullInt32, sql.NullInt16, sql.NullByte, sql.NullFloat64, sql.NullBool, sql.NullTime, gorm.DeletedAt:
			continue // which do not panic
		}
		v, ok := arg.(driver.Valuer)
		if !ok {
			continue
		}
		if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && p.IsNil() {
			if p.Type().Elem().Implements(reflect.TypeFor[driver.Valuer]()) {
				continue // of which database/sql makes null
			}
		}
		_, _ = v.Value() // the statement meets its error
	}
}

package hooks

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// read scans a row of two columns.
func read(t *testing.T, r *reader, key, name any) image {
	t.Helper()
	r.reset()
	require.NoError(t, r.scans[0].Scan(key))
	require.NoError(t, r.scans[1].Scan(name))
	return r.image()
}

func twoColumns(k kind) *layout {
	return &layout{keys: []int{0}, columns: []column{{name: "id", kind: k, key: true}, {name: "name", kind: kindText}}}
}

func TestImagesOutliveTheReaderThatIsUsedAgain(t *testing.T) {
	r := newReader(twoColumns(kindText))
	var images []image
	for range 3 * maxSlab {
		images = append(images, read(t, r, []byte("a"), "first"), read(t, r, []byte("a"), "second"), read(t, r, []byte("b"), "third"))
		r.release()
	}
	for i, want := range []struct{ key, name string }{{"a", `"first"`}, {"a", `"second"`}, {"b", `"third"`}} {
		for ; i < len(images); i += 3 {
			require.Equal(t, `"`+want.key+`"`, images[i].key)
			require.Equal(t, []any{want.key}, images[i].args)
			require.Equal(t, want.name, string(images[i].cells[1].json))
		}
	}
}

func TestKeysThatAreTheSameInJSONStaySelectable(t *testing.T) {
	r := newReader(twoColumns(kindBool)) // of which SQLite keeps any number
	for _, key := range []any{int64(1), int64(2), int64(2), "true"} {
		row := read(t, r, key, "x")
		require.Equal(t, "true", row.key[:4])
		require.Equal(t, []any{key}, row.args)
	}
}

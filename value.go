package audit

import (
	"bytes"
	"encoding/json"
)

// Text is the value as people read it: its label if it has one, else the text
// of a JSON string, else the JSON itself. It is empty for null, for what was
// not recorded and for what was withheld; see [Value.String] for words that
// tell these apart.
func (v Value) Text() string {
	switch {
	case v.Label != "":
		return v.Label
	case v.JSON == nil || v.IsNull():
		return ""
	case v.JSON[0] == '"':
		var s string
		if json.Unmarshal(v.JSON, &s) == nil {
			return s
		}
	}
	return string(bytes.TrimSpace(v.JSON))
}

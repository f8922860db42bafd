package report

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed static
var static embed.FS

// asset is a file that pages link to. Its name holds the digest of its content,
// so browsers keep it until it changes.
type asset struct {
	name, contentType string
	content           []byte
}

type assets []asset

func loadAssets() (assets, error) {
	var all assets
	for _, file := range []struct{ name, contentType string }{
		{"page.css", "text/css; charset=utf-8"},
		{"page.js", "text/javascript; charset=utf-8"},
		{"icon.svg", "image/svg+xml"},
	} {
		content, err := static.ReadFile("static/" + file.name)
		if err != nil {
			return nil, err
		}
		digest := sha256.Sum256(content)
		base, ext := strings.TrimSuffix(file.name, path.Ext(file.name)), path.Ext(file.name)
		all = append(all, asset{base + "." + hex.EncodeToString(digest[:6]) + ext, file.contentType, content})
	}
	return all, nil
}

// named is the path of an asset from the handler's root.
func (a assets) named(ext string) string {
	for _, one := range a {
		if strings.HasSuffix(one.name, ext) {
			return "assets/" + one.name
		}
	}
	return ""
}

// handler serves the asset of a name.
func (a assets) handler(name string) (http.HandlerFunc, bool) {
	for _, one := range a {
		if one.name == name {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", one.contentType)
				w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
				w.Header().Set("Content-Length", strconv.Itoa(len(one.content)))
				_, _ = w.Write(one.content) // the reader has gone
			}, true
		}
	}
	return nil, false
}

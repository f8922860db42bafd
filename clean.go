package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// Limits of an event's texts, in bytes. A longer text is cut rather than
// refused: no value makes a write fail.
const (
	// MaxIDBytes is the limit of ids, types and other short names. One that is
	// cut ends in a digest of the whole, so that two of them stay two.
	MaxIDBytes = 191
	// MaxLabelBytes is the limit of labels and of the names of actors.
	MaxLabelBytes = 500

	maxReason = 4000
)

// clean makes every text of the event one that each database can store.
func (e *Event) clean() {
	e.Workspace = cleanID(e.Workspace)
	e.Actor = cleanActor(e.Actor)
	e.Initiator = cleanActor(e.Initiator)
	e.Operation = cleanName(e.Operation)
	e.Origin = cleanName(e.Origin)
	e.Entity.Type = cleanName(e.Entity.Type)
	e.Entity.ID = cleanID(e.Entity.ID)
	e.Entity.Owner = cleanID(e.Entity.Owner)
	e.Entity.Label = cleanText(e.Entity.Label, MaxLabelBytes)
	e.Ownership = cleanName(e.Ownership)
	e.Request.ID = cleanID(e.Request.ID)
	e.Request.Address = cleanID(e.Request.Address)
	e.Request.Agent = cleanText(e.Request.Agent, MaxLabelBytes)
	e.Reason = cleanText(e.Reason, maxReason)
	for i := range e.Changes {
		c := &e.Changes[i]
		c.Before.Label = cleanText(c.Before.Label, MaxLabelBytes)
		c.After.Label = cleanText(c.After.Label, MaxLabelBytes)
	}
}

func cleanActor(a Actor) Actor {
	return Actor{Kind: cleanName(a.Kind), ID: cleanID(a.ID), Name: cleanText(a.Name, MaxLabelBytes)}
}

// cleanText makes s valid UTF-8 without NUL, which PostgreSQL cannot store, and
// cuts it to at most limit bytes with an ellipsis.
func cleanText(s string, limit int) string {
	if s == "" || len(s) <= limit && storable(s) {
		return s
	}
	// What is replaced may grow, so that is done before the cut.
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) <= limit {
		return s
	}
	end := limit - len("…")
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// storable reports whether every database can keep s as it is.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// cleanID is cleanText for what is compared: a text that has to be changed ends
// in a digest of the original, so that two of them stay two.
func cleanID(s string) string {
	if s == "" || len(s) <= MaxIDBytes && storable(s) {
		return s
	}
	digest := sha256.Sum256([]byte(s))
	return cleanText(s, MaxIDBytes-2*sha256.Size-1) + "#" + hex.EncodeToString(digest[:])
}

// cleanName is cleanID for a name of another type.
func cleanName[T ~string](name T) T { return T(cleanID(string(name))) }

// personal reduces a request to what the config lets be kept of it.
func (r *Recorder) personal(req Request) Request {
	if !r.cfg.RecordAgent {
		req.Agent = ""
	}
	if r.cfg.ShortenAddresses && req.Address != "" {
		req.Address = network(req.Address)
	}
	return req
}

// network is the address without the part that names one client.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	ip = ip.Unmap().WithZone("")
	bits := 24
	if ip.Is6() {
		bits = 48
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.Addr().String()
}

package audit

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The keys of the query language.
const (
	keyActor     = "actor"
	keyAction    = "action"
	keyEntity    = "entity"
	keyType      = "type"
	keyOwner     = "owner"
	keyOrigin    = "origin"
	keyField     = "field"
	keyCreated   = "created"
	keyID        = "id"
	keyCause     = "cause"
	keyChangeSet = "changeset"
)

// inQuotesIfRight is the remedy for a name that the catalogue lacks.
const inQuotesIfRight = "put it in quotes if it is right"

// none is what stands for an empty value.
const none = "none"

// queryKeys are the keys in the order in which texts have them.
func queryKeys() []string {
	return []string{
		keyActor, keyAction, keyType, keyEntity, keyOwner, keyOrigin, keyField,
		keyID, keyCause, keyChangeSet, keyCreated,
	}
}

// queryBuilder is a filter that is being read.
type queryBuilder struct {
	Filter
	// open tells that the last term was a word of a label, without quotes.
	open bool
	// types and records tell what entity was given.
	types, records bool
	// created tells that a range was given.
	created bool
}

// querySetters put one value of a key into the filter.
func querySetters() map[string]func(p *queryParser, b *queryBuilder, w queryWord) error {
	return map[string]func(p *queryParser, b *queryBuilder, w queryWord) error{
		keyActor:   (*queryParser).actor,
		keyAction:  (*queryParser).action,
		keyEntity:  (*queryParser).entity,
		keyCreated: (*queryParser).created,
		keyType: func(p *queryParser, b *queryBuilder, w queryWord) error {
			return add(&b.Types, w, p.entityType)
		},
		keyOwner: func(p *queryParser, b *queryBuilder, w queryWord) error {
			return add(&b.Owners, w, p.orNone)
		},
		keyOrigin: func(p *queryParser, b *queryBuilder, w queryWord) error {
			return add(&b.Origins, w, func(w queryWord) (Origin, error) {
				text, err := p.orNone(w)
				return Origin(text), err
			})
		},
		keyField: func(p *queryParser, b *queryBuilder, w queryWord) error {
			return add(&b.Fields, w, p.filled)
		},
		keyID: func(p *queryParser, b *queryBuilder, w queryWord) error {
			return add(&b.IDs, w, p.uuid)
		},
		keyCause: func(p *queryParser, b *queryBuilder, w queryWord) error {
			return add(&b.Causes, w, p.uuidOrNone)
		},
		keyChangeSet: func(p *queryParser, b *queryBuilder, w queryWord) error {
			return add(&b.ChangeSets, w, p.uuidOrNone)
		},
	}
}

// add appends what read makes of the word.
func add[T any](to *[]T, w queryWord, read func(queryWord) (T, error)) error {
	v, err := read(w)
	if err == nil {
		*to = append(*to, v)
	}
	return err
}

// filled is a text that is not empty.
func (p *queryParser) filled(w queryWord) (string, error) {
	text, err := p.literal(w)
	switch {
	case err == nil && w.text == "":
		err = p.errorf(w, "something is missing here")
	case err == nil && text == "":
		err = p.errorf(w, "there is nothing in the quotes")
	}
	return text, err
}

// orNone is a text, empty for the word none.
func (p *queryParser) orNone(w queryWord) (string, error) {
	if w.is(none) {
		return "", nil
	}
	return p.literal(w)
}

func (p *queryParser) uuid(w queryWord) (uuid.UUID, error) {
	text, err := p.literal(w)
	if err != nil {
		return uuid.Nil, err
	}
	id, err := uuid.Parse(text)
	if err != nil || len(text) != len(id.String()) {
		return uuid.Nil, p.errorf(w, "%q is not an id such as %s", w.shown(), "0190163d-8694-739b-aea5-966c26f8ad91")
	}
	return id, nil
}

func (p *queryParser) uuidOrNone(w queryWord) (uuid.UUID, error) {
	if w.is(none) {
		return uuid.Nil, nil
	}
	return p.uuid(w)
}

// actor reads an author: system, unknown, the id of a user, or a kind and an id.
func (p *queryParser) actor(b *queryBuilder, w queryWord) error {
	kind, id, found := w.cut(":")
	switch {
	case w.is(string(KindSystem)):
		b.Actors = append(b.Actors, System)
		return nil
	case w.is(string(KindUnknown)):
		b.Actors = append(b.Actors, Unknown)
		return nil
	case w.is(string(KindUser)) || w.is(string(KindKey)) || found && id.text == "":
		return p.errorf(w, "%q lacks an id, as in actor:key:abc; put it in quotes if it is the id of a user", w.shown())
	case !found:
		return add(&b.Actors, w, func(w queryWord) (Actor, error) {
			text, err := p.literal(w)
			return Actor{Kind: KindUser, ID: text}, err
		})
	}
	known := []string{string(KindUser), string(KindSystem), string(KindKey), string(KindUnknown)}
	if !kind.quoted() && !slices.Contains(known, kind.text) {
		return p.errorf(kind, `unknown kind of actor %q, use %s; put the kind in quotes if it is right, or the whole if it is the id of a user`, kind.shown(), strings.Join(known, ", "))
	}
	k, err := p.filled(kind)
	if err != nil {
		return err
	}
	return add(&b.Actors, id, func(w queryWord) (Actor, error) {
		text, err := p.literal(w)
		return Actor{Kind: ActorKind(k), ID: text}, err
	})
}

// entityType reads a type. One in quotes need not be in the catalogue.
func (p *queryParser) entityType(w queryWord) (EntityType, error) {
	text, err := p.filled(w)
	if err != nil {
		return "", err
	}
	if w.quoted() {
		return EntityType(text), nil
	}
	t, err := p.known(w, "entity type", p.Catalog.typeNames(), inQuotesIfRight)
	return EntityType(t), err
}

// known is the one of the names that the word means, which is in the same
// letters or else in others. The remedy is named if none is near.
func (p *queryParser) known(w queryWord, what string, names []string, remedy string) (string, error) {
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		if i := slices.IndexFunc(names, func(n string) bool { return same(n, w.text) }); i >= 0 {
			return names[i], nil
		}
	}
	return "", p.errorf(w, "unknown %s %q; %s", what, w.shown(), hint(w.text, names, remedy))
}

// entity reads a type, or a record as its type and id.
func (p *queryParser) entity(b *queryBuilder, w queryWord) error {
	name, id, record := w.cut("/")
	b.types, b.records = b.types || !record, b.records || record
	if b.types && b.records {
		return p.errorf(w, "with %q entity names both types and records; ask for one of them", w.shown())
	}
	t, err := p.entityType(name)
	if err != nil {
		return err
	}
	if !record {
		before, _, slash := strings.Cut(string(t), "/")
		if slash && slices.Contains(p.Catalog.typeNames(), before) {
			return p.errorf(w, `%s is a type of records because of its quotes; write entity:%s/"..." for a record`, w.shown(), before)
		}
		b.Types = append(b.Types, t)
		return nil
	}
	if id.text == "" {
		return p.errorf(w, "%q lacks an id behind the slash", w.shown())
	}
	return add(&b.Entities, id, func(w queryWord) (Entity, error) {
		text, err := p.filled(w)
		return Entity{Type: t, ID: text}, err
	})
}

// action reads a name of the catalogue, or an event's parts in their order.
func (p *queryParser) action(b *queryBuilder, w queryWord) error {
	parts := w.split(".")
	exact := func(w queryWord) bool { return w.quoted() || w.text == "*" || w.is(none) }
	if len(parts) > 1 && slices.ContainsFunc(parts, exact) {
		return p.actionParts(b, w, parts)
	}
	name, err := p.filled(w)
	if err != nil {
		return err
	}
	actions := p.Catalog.actions(name)
	if len(actions) == 0 {
		return p.errorf(w, "unknown action %q; %s", cleanText(name, MaxIDBytes),
			hint(name, p.Catalog.actionNames(), "an action is a name in quotes, a code, or parts as in project.updated"))
	}
	b.Actions = append(b.Actions, actions...)
	return nil
}

// actionParts reads type, operation, origin and ownership, of which a star asks
// for nothing, and those in quotes need not be in the catalogue.
func (p *queryParser) actionParts(b *queryBuilder, w queryWord, parts []queryWord) error {
	var a Action
	part := func(w queryWord, what string, names []string) (string, error) {
		if w.quoted() {
			return p.filled(w)
		}
		return p.known(w, what, names, inQuotesIfRight)
	}
	for i, w := range parts {
		var text string
		var err error
		switch {
		case i == 4:
			err = p.errorf(w, "%q is one part too many; they are type, operation, origin, and self or other", w.shown())
		case w.text == "*":
		case i == 0:
			text, err = part(w, "entity type", p.Catalog.typeNames())
			a.Type = EntityType(text)
		case i == 1:
			text, err = part(w, "operation", p.Catalog.operationNames())
			a.Operation = Operation(text)
		case i == 2 && w.is(none):
			a.Origins = []Origin{""}
		case i == 2:
			text, err = part(w, "origin", p.Catalog.originNames())
			a.Origins = []Origin{Origin(text)}
		default:
			text, err = p.known(w, "ownership", []string{string(OwnershipSelf), string(OwnershipOther)}, "it is self or other")
			a.Ownership = Ownership(text)
		}
		if err != nil {
			return err
		}
	}
	if a.isEmpty() {
		return p.errorf(w, "%q asks for every action; leave it out", w.shown())
	}
	b.Actions = append(b.Actions, a)
	return nil
}

// created reads a day or a range.
func (p *queryParser) created(b *queryBuilder, w queryWord) error {
	if b.created {
		return p.errorf(w, "%q is a second range of time, and only one is possible", w.shown())
	}
	b.created = true
	first, last := w, w
	if i := strings.Index(w.text, ".."); i >= 0 {
		first, last = queryWord{w.text[:i], w.at}, w.from(i+len(".."))
	} else if !isDay(w.text) {
		return p.errorf(w, "%q is not a day such as 2026-11-30; a range has two dots, as in 2026-11-01..2026-11-30, 2026-11-01.. or 2026-11-30T15:04:05Z..", w.shown())
	}
	if first.text == "" && last.text == "" {
		return p.errorf(w, "the range has neither a beginning nor an end")
	}
	var err error
	if first.text != "" {
		if b.From, err = p.bound(first, 0); err != nil {
			return err
		}
	}
	if last.text != "" {
		if b.To, err = p.bound(last, 1); err != nil {
			return err
		}
	}
	ends := !b.From.IsZero() && !b.To.IsZero()
	if ends && (b.To.Before(b.From) || b.To.Equal(b.From) && isDay(first.text) && isDay(last.text) && first.text > last.text) {
		return p.errorf(w, "the range %q ends before it begins", w.shown())
	}
	return nil
}

func isDay(text string) bool {
	_, err := time.Parse(time.DateOnly, text)
	return err == nil
}

// bound reads one end of a range: a time, or the start of a day so many days
// after the one that is written.
func (p *queryParser) bound(w queryWord, days int) (time.Time, error) {
	var t time.Time
	if day, err := time.Parse(time.DateOnly, w.text); err == nil {
		t = StartOfDay(day.Year(), day.Month(), day.Day()+days, p.Location).UTC()
	} else if t, err = time.Parse(time.RFC3339Nano, w.text); err != nil {
		return t, p.errorf(w, "%q is neither a day such as 2026-11-30 nor a time such as 2026-11-30T15:04:05Z", w.shown())
	}
	if t.IsZero() {
		return t, p.errorf(w, "%q is long before every event", w.shown())
	}
	return t.UTC(), nil
}

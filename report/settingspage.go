package report

import (
	"context"
	"net/http"
	"slices"

	"github.com/gormtrail/audit"
)

// settingsView is the page of the settings.
type settingsView struct {
	Enabled bool
	Types   []switchView
	// History leads to the changes of the settings. Empty for those who may not
	// read.
	History string
}

// switchView is the switch of an entity type.
type switchView struct {
	Type audit.EntityType
	Name string
	On   bool
}

// master stands for the master switch where a type is named. No type is empty.
const master = ""

// settings serves the settings of the workspace, and turns one of its switches.
func (q *request) settings() error {
	if !q.scope.Administer || q.opts.Settings == nil {
		return notFound()
	}
	switch q.r.Method {
	case http.MethodGet:
		return q.get(q.showSettings)
	case http.MethodPost:
		return q.turn()
	}
	q.w.Header().Set("Allow", "GET, POST")
	return &problem{status: http.StatusMethodNotAllowed, message: "This page can be read, and its switches can be turned."}
}

// settingsJSON are the settings for programs.
type settingsJSON struct {
	Enabled bool         `json:"enabled"`
	Types   []switchJSON `json:"types"`
}

type switchJSON struct {
	Type audit.EntityType `json:"type"`
	On   bool             `json:"on"`
}

func (q *request) showSettings() error {
	if err := q.only("tz"); err != nil {
		return err
	}
	if err := q.readZone(); err != nil {
		return err
	}
	current, err := q.opts.Settings.Get(q.r.Context(), q.scope.Workspace)
	if err != nil {
		return err
	}
	view := settingsView{Enabled: current.Enabled}
	if q.scope.Read {
		view.History = q.recordHref(audit.Entity{Type: audit.TypeSettings, ID: q.scope.Workspace})
	}
	j := settingsJSON{Enabled: current.Enabled}
	for _, t := range q.types(current) {
		on := current.Types[t]
		view.Types = append(view.Types, switchView{t, visible(capital(q.opts.Catalog.Noun(t)), false), on})
		j.Types = append(j.Types, switchJSON{t, on})
	}
	if q.json {
		return q.writeJSON(http.StatusOK, j)
	}
	return q.write(http.StatusOK, "settings", "Settings", view, nil)
}

// types are the entity types that have a switch: those of the options, and those
// that are on.
func (q *request) types(current audit.Switches) []audit.EntityType {
	types := slices.Clone(q.opts.Types)
	var others []audit.EntityType
	for t, on := range current.Types {
		if on && !slices.Contains(types, t) {
			others = append(others, t)
		}
	}
	slices.Sort(others)
	return append(types, others...)
}

// turn turns one switch: that of the form's type, or the master switch for an
// empty one. Nothing else of the settings is touched, so that two who turn
// different switches at once both get what they want.
func (q *request) turn() error {
	values, err := q.post()
	if err != nil {
		return err
	}
	on, known := map[string]bool{"on": true, "off": false}[values.Get("turn")]
	t := audit.EntityType(values.Get("type"))
	if !known || !values.Has("type") || len(values) != 2 || len(values["turn"]) != 1 || len(values["type"]) != 1 {
		return badParameter("turn", "The form must have turn, which is on or off, and type, which is empty for the master switch.")
	}
	ctx := q.r.Context()
	if t != master {
		current, err := q.opts.Settings.Get(ctx, q.scope.Workspace)
		if err != nil {
			return err
		}
		if !slices.Contains(q.types(current), t) {
			return badParameter("type", "There is no switch for %q.", clip(string(t), maxQuoted))
		}
	}
	err = q.opts.Settings.Set(q.acting(ctx), q.scope.Workspace, func(s *audit.Switches) {
		if t == master {
			s.Enabled = on
		} else {
			s.Turn(on, t)
		}
	})
	if err != nil {
		return err
	}
	q.w.Header().Set("Location", "settings")
	q.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// acting is a context whose changes are made by the one who asks.
func (q *request) acting(ctx context.Context) context.Context {
	ctx = audit.WithWorkspace(ctx, q.scope.Workspace)
	if !q.scope.Actor.IsZero() {
		ctx = audit.WithActor(ctx, q.scope.Actor)
	}
	return ctx
}

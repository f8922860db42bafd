// Package web is the time tracker's web site: one page on which one chooses who
// one is and renames projects, and the audit log.
package web

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"strings"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/examples/timesheet/backend"
	"github.com/gormtrail/audit/internal/timesheet"
	"github.com/gormtrail/audit/report"
)

// Site is the web site of one workspace.
type Site struct {
	backend   *backend.Backend
	workspace string
}

// New returns the web site of a workspace.
func New(b *backend.Backend, workspace string) *Site { return &Site{b, workspace} }

// role is what a user may see and do in the audit log.
type role struct {
	Name  string
	scope report.Scope
}

// roles are those of the users, by their addresses; an application has a table
// of them. Whoever has none may not see the log.
var roles = map[string]role{
	"maya@example.com":  {"admin: sees everything, exports, and chooses what is recorded", report.Scope{Read: true, Export: true, Administer: true}},
	"chloe@example.com": {"manager: sees everything and exports", report.Scope{Read: true, Export: true}},
	"ben@example.com": {"member: sees projects and tasks, and nobody's hours", report.Scope{
		Read: true, Only: &report.Only{Types: []audit.EntityType{audit.TypeProject, audit.TypeTask}},
	}},
	"daniel@example.com": {"stranger: may not see the log", report.Scope{}},
}

// cookie holds the id of the user. There is no password: an application has a
// session here, and nothing else would change.
const cookie = "user"

// user is who sent a request: audit.ErrUnauthenticated if nobody says so.
func (s *Site) user(r *http.Request) (timesheet.User, error) {
	c, err := r.Cookie(cookie)
	if err != nil {
		return timesheet.User{}, audit.ErrUnauthenticated
	}
	user, err := s.backend.User(s.within(r.Context()), c.Value)
	if errors.Is(err, backend.ErrNotFound) {
		err = audit.ErrUnauthenticated
	}
	return user, err
}

// within is a context of the workspace.
func (s *Site) within(ctx context.Context) context.Context {
	return audit.WithWorkspace(ctx, s.workspace)
}

func actor(u timesheet.User) audit.Actor { return audit.Actor{ID: u.ID, Name: u.Name} }

// identify is for audit.Middleware: it puts who acts into the context of each
// request, from where the plugin takes it. Signing in needs no user.
func (s *Site) identify(r *http.Request) (audit.Identity, error) {
	user, err := s.user(r)
	if errors.Is(err, audit.ErrUnauthenticated) {
		err = nil
	}
	who := audit.Identity{Workspace: s.workspace}
	if user.ID != "" {
		who.Actor = actor(user)
	}
	return who, err
}

// Authorize is for report.Options: it tells what a request may see of the log.
func (s *Site) Authorize(r *http.Request) (report.Scope, error) {
	user, err := s.user(r)
	if err != nil {
		return report.Scope{}, err
	}
	scope := roles[user.Email].scope
	scope.Workspace, scope.Actor = user.WorkspaceID, actor(user)
	return scope, nil
}

// Refuse is for report.Options: it leads those who have not signed in to where
// they can.
func (s *Site) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, audit.ErrUnauthenticated):
		http.Redirect(w, r, "/", http.StatusSeeOther)
	case errors.Is(err, audit.ErrForbidden):
		http.Error(w, "You may not see the audit log.", http.StatusForbidden)
	default:
		http.Error(w, "Something went wrong.", http.StatusInternalServerError)
	}
}

// Handler serves the site with the audit log's page on it.
func (s *Site) Handler(page http.Handler) (http.Handler, error) {
	identify, err := audit.Middleware(s.identify, nil)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("POST /user", s.signIn)
	mux.HandleFunc("POST /project/{id}", s.rename)
	mux.Handle("/audit/", page)
	return http.NewCrossOriginProtection().Handler(identify(mux)), nil
}

//go:embed home.html
var homeHTML string

var homePage = template.Must(template.New("home").Parse(homeHTML))

// home shows who one may be and, to users, the projects.
func (s *Site) home(w http.ResponseWriter, r *http.Request) {
	type person struct {
		timesheet.User
		Role    string
		Current bool
	}
	var view struct {
		People   []person
		Signed   bool
		Projects []timesheet.Project
	}
	now, err := s.user(r)
	if err != nil && !errors.Is(err, audit.ErrUnauthenticated) {
		fail(w, err)
		return
	}
	view.Signed = now.ID != ""
	users, err := s.backend.Users(s.within(r.Context()))
	if err != nil {
		fail(w, err)
		return
	}
	for _, u := range users {
		if role, ok := roles[u.Email]; ok {
			view.People = append(view.People, person{u, role.Name, u.ID == now.ID})
		}
	}
	if view.Signed {
		if view.Projects, err = s.backend.Projects(r.Context()); err != nil {
			fail(w, err)
			return
		}
	}
	var b bytes.Buffer
	if err := homePage.Execute(&b, view); err != nil {
		fail(w, err)
		return
	}
	_, _ = b.WriteTo(w)
}

// signIn makes the one who is chosen the user.
func (s *Site) signIn(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: r.FormValue("id"), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// rename gives a project another name. That it is recorded shows nowhere: the
// context of the request says who acts, and the backend passes it on.
func (s *Site) rename(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimSpace(r.FormValue("title"))
	if _, err := s.user(r); err != nil || name == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if err := s.backend.RenameProject(r.Context(), r.PathValue("id"), name); err != nil {
		fail(w, err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// fail answers a request that could not be served.
func fail(w http.ResponseWriter, err error) {
	if errors.Is(err, backend.ErrNotFound) {
		http.Error(w, "There is no such record.", http.StatusNotFound)
		return
	}
	http.Error(w, "Something went wrong.", http.StatusInternalServerError)
}

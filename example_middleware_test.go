package audit_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/store/memstore"
)

// The middleware puts into each request's context who sent it, and from where.
func ExampleMiddleware() {
	store := memstore.New()
	rec, _ := audit.New(store, nil)

	who := func(r *http.Request) (audit.Identity, error) {
		user, _, ok := r.BasicAuth() // your session, your token
		if !ok {
			return audit.Identity{}, audit.ErrUnauthenticated
		}
		return audit.Identity{Actor: audit.Actor{ID: user}, Workspace: "w1"}, nil
	}
	middleware, err := audit.Middleware(who, &audit.MiddlewareConfig{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Origin:         audit.OriginAPI,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = rec.Record(r.Context(), audit.Event{
			Operation: "approved", Entity: audit.Entity{Type: "timesheet", ID: "2026-47"},
		})
	}))

	request := httptest.NewRequest(http.MethodPost, "/approve", nil)
	request.RemoteAddr = "10.0.0.1:4711"
	request.Header.Set("X-Forwarded-For", "198.51.100.7")
	refused := httptest.NewRecorder()
	handler.ServeHTTP(refused, request)
	fmt.Println(refused.Code)

	request.SetBasicAuth("jo", "secret")
	handler.ServeHTTP(httptest.NewRecorder(), request)
	for _, e := range store.All() {
		fmt.Println(e, "in", e.Workspace, "from", e.Request.Address)
	}
	// Output:
	// 401
	// user jo approved timesheet 2026-47 (api) in w1 from 198.51.100.7
}

// What a background job does is done by the system, on behalf of who asked.
func ExampleWithInitiator() {
	store := memstore.New()
	rec, _ := audit.New(store, nil)

	ctx := audit.WithActor(context.Background(), audit.System)
	ctx = audit.WithInitiator(ctx, audit.Actor{ID: "17", Name: "Jo"})
	ctx = audit.WithReason(ctx, "nightly clean-up")
	_ = rec.Record(ctx, audit.Event{
		Operation: audit.Deleted, Entity: audit.Entity{Type: audit.TypeTag, ID: "5", Label: "old"},
	})
	fmt.Println(store.All()[0])
	// Output:
	// System (for Jo) deleted tag "old"; reason: "nightly clean-up"
}

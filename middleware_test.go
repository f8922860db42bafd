package audit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

var jo = audit.Actor{ID: "17", Name: "Jo"}

func resolveJo(*http.Request) (audit.Identity, error) {
	return audit.Identity{Actor: jo, Workspace: "w1"}, nil
}

// served is the context in which the handler behind the middleware is called.
func served(t *testing.T, cfg *audit.MiddlewareConfig, r *http.Request) context.Context {
	t.Helper()
	middleware, err := audit.Middleware(resolveJo, cfg)
	require.NoError(t, err)
	var ctx context.Context
	w := httptest.NewRecorder()
	middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() })).ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
	require.NotNil(t, ctx)
	return ctx
}

func TestMiddlewareTellsWhoSentARequest(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.RemoteAddr = "203.0.113.9:4711"
	r.Header.Set("User-Agent", "curl/8")
	r = r.WithContext(audit.WithReason(audit.WithInitiator(audit.WithOrigin(r.Context(), audit.OriginKiosk), jo), "because"))
	ctx := served(t, nil, r)
	require.Equal(t, jo, audit.ActorFrom(ctx))
	require.Equal(t, "w1", audit.WorkspaceFrom(ctx))
	require.Zero(t, audit.InitiatorFrom(ctx), "an initiator from outside is not believed")
	require.Equal(t, audit.OriginKiosk, audit.OriginFrom(ctx), "what it knows nothing of stays")
	require.Equal(t, "because", audit.ReasonFrom(ctx))
	got := audit.RequestFrom(ctx)
	require.NoError(t, uuid.Validate(got.ID))
	require.Equal(t, audit.Request{ID: got.ID, Address: "203.0.113.9", Agent: "curl/8"}, got)
	require.Equal(t, audit.OriginAPI, audit.OriginFrom(served(t, &audit.MiddlewareConfig{Origin: audit.OriginAPI}, r)))
}

func TestMiddlewareBelievesARequestIDOnlyIfToldTo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, header string
		trust, taken bool
	}{
		{"an id is not trusted by default", "req-1", false, false},
		{"a trusted id is taken", "req-1", true, true},
		{"a missing id is made", "", true, false},
		{"an id with a line break is not taken", "a\nb", true, false},
		{"an id with a space is not taken", "a b", true, false},
		{"an id that is not ASCII is not taken", "ä", true, false},
		{"a long id is taken", strings.Repeat("x", 128), true, true},
		{"too long an id is not taken", strings.Repeat("x", 129), true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header["X-Request-Id"] = []string{tt.header}
			id := audit.RequestFrom(served(t, &audit.MiddlewareConfig{TrustRequestID: tt.trust}, r)).ID
			if tt.taken {
				require.Equal(t, tt.header, id)
				return
			}
			require.NoError(t, uuid.Validate(id))
		})
	}
}

func TestMiddlewareBelievesForwardedAddressesOfTrustedProxiesOnly(t *testing.T) {
	t.Parallel()
	ours := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, tt := range []struct {
		name, remote string
		forwarded    []string
		trusted      []netip.Prefix
		want         string
	}{
		{"without proxies the connection counts", "203.0.113.9:1", []string{"1.1.1.1"}, nil, "203.0.113.9"},
		{"a stranger's header is ignored", "203.0.113.9:1", []string{"1.1.1.1"}, ours, "203.0.113.9"},
		{"a proxy's header counts", "10.0.0.1:1", []string{"198.51.100.7"}, ours, "198.51.100.7"},
		{"what the client put before it is ignored", "10.0.0.1:1", []string{"6.6.6.6, 198.51.100.7"}, ours, "198.51.100.7"},
		{"a client cannot pose as a proxy's proxy", "10.0.0.1:1", []string{"6.6.6.6, 10.9.9.9, 198.51.100.7"}, ours, "198.51.100.7"},
		{"a chain of proxies is followed", "10.0.0.1:1", []string{"6.6.6.6, 198.51.100.7, 10.0.0.3 , 10.0.0.2"}, ours, "198.51.100.7"},
		{"several headers are one list", "10.0.0.1:1", []string{"6.6.6.6", "198.51.100.7", "10.0.0.2"}, ours, "198.51.100.7"},
		{"only proxies is the first of them", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, ours, "10.0.0.3"},
		{"no header is the proxy itself", "10.0.0.1:1", nil, ours, "10.0.0.1"},
		{"nonsense ends the chain", "10.0.0.1:1", []string{"198.51.100.7, <script>, 10.0.0.2"}, ours, "10.0.0.2"},
		{"an empty entry ends the chain", "10.0.0.1:1", []string{"198.51.100.7,"}, ours, "10.0.0.1"},
		{"an entry may have a port", "10.0.0.1:1", []string{"198.51.100.7:8080"}, ours, "198.51.100.7"},
		{"an IPv6 entry may have brackets and a port", "[fd00::1]:1", []string{"[2001:db8::7]:8080"}, ours, "2001:db8::7"},
		{"an IPv6 entry may be bare", "[fd00::1]:1", []string{"2001:db8::7"}, ours, "2001:db8::7"},
		{"an IPv4 address in IPv6 is IPv4", "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.7"}, ours, "198.51.100.7"},
		{"a zone is dropped", "[fe80::1%eth0]:1", nil, nil, "fe80::1"},
		{"a socket has no address", "@", []string{"1.1.1.1"}, ours, ""},
		{"no address is none", "", nil, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tt.remote
			for _, f := range tt.forwarded {
				r.Header.Add("X-Forwarded-For", f)
			}
			for _, other := range []string{"Forwarded", "X-Real-Ip", "True-Client-Ip"} {
				r.Header.Set(other, "for=6.6.6.6")
			}
			require.Equal(t, tt.want, audit.RequestFrom(served(t, &audit.MiddlewareConfig{TrustedProxies: tt.trusted}, r)).Address)
		})
	}
}

func TestMiddlewareEndsARequestWhoseSenderIsNotResolved(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err    error
		status int
	}{
		{audit.ErrUnauthenticated, http.StatusUnauthorized},
		{fmt.Errorf("session canary: %w", audit.ErrUnauthenticated), http.StatusUnauthorized},
		{fmt.Errorf("user canary: %w", audit.ErrForbidden), http.StatusForbidden},
		{errors.New("database canary"), http.StatusInternalServerError},
	} {
		middleware, err := audit.Middleware(func(*http.Request) (audit.Identity, error) { return audit.Identity{Actor: jo}, tt.err }, nil)
		require.NoError(t, err)
		w := httptest.NewRecorder()
		middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			t.Error("the next handler is not called")
		})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		require.Equal(t, tt.status, w.Code)
		require.Equal(t, http.StatusText(tt.status)+"\n", w.Body.String(), "the error stays with the server")
	}
	own := &audit.MiddlewareConfig{OnError: func(w http.ResponseWriter, _ *http.Request, err error) { http.Error(w, "own", http.StatusTeapot) }}
	middleware, err := audit.Middleware(func(*http.Request) (audit.Identity, error) { return audit.Identity{}, errors.New("x") }, own)
	require.NoError(t, err)
	w := httptest.NewRecorder()
	middleware(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, http.StatusTeapot, w.Code)
}

func TestMiddlewareRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	_, err := audit.Middleware(nil, nil)
	require.EqualError(t, err, "audit: Middleware needs a function that tells who sent a request, got nil")
	_, err = audit.Middleware(resolveJo, &audit.MiddlewareConfig{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("::/0"), {}}})
	require.EqualError(t, err, "audit: TrustedProxies[1] is not a valid network; make it with netip.ParsePrefix")
}

// TestMiddlewareKeepsRequestsApart serves many requests on few connections, some
// of which panic, and looks for the actor of one in another.
func TestMiddlewareKeepsRequestsApart(t *testing.T) {
	t.Parallel()
	middleware, err := audit.Middleware(func(r *http.Request) (audit.Identity, error) {
		switch user := r.Header.Get("User"); user {
		case "":
			return audit.Identity{}, nil
		case "resolver":
			panic(http.ErrAbortHandler)
		default:
			return audit.Identity{Actor: audit.Actor{ID: user}, Workspace: "of " + user}, nil
		}
	}, nil)
	require.NoError(t, err)
	server := httptest.NewServer(middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Panic") != "" {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, "%s|%s", audit.ActorFrom(r.Context()).ID, audit.WorkspaceFrom(r.Context()))
	})))
	t.Cleanup(server.Close)
	var group sync.WaitGroup
	for worker := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := range 25 {
				user := fmt.Sprintf("%d-%d", worker, i)
				if _, err := get(server.URL, user, "yes"); err == nil {
					t.Error("a panic ends the request")
				}
				if _, err := get(server.URL, "resolver", ""); err == nil {
					t.Error("a panic ends the request")
				}
				if body, err := get(server.URL, "", ""); err != nil || body != "|" {
					t.Errorf("a request of nobody was made by %q, %v", body, err)
				}
				if body, err := get(server.URL, user, ""); err != nil || body != user+"|of "+user {
					t.Errorf("a request of %s was made by %q, %v", user, body, err)
				}
			}
		}()
	}
	group.Wait()
}

func get(url, user, panics string) (string, error) {
	r, err := http.NewRequest(http.MethodPost, url, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("User", user)
	r.Header.Set("Panic", panics)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

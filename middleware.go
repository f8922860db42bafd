package audit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/google/uuid"
)

// Errors by which the function passed to [Middleware] says why a request goes
// no further. They are wrapped with %w, as any others.
var (
	// ErrUnauthenticated is for a request of which nobody knows who sent it. It
	// is answered with 401 Unauthorized.
	ErrUnauthenticated = errors.New("audit: not authenticated")
	// ErrForbidden is for a request of somebody who may not send it. It is
	// answered with 403 Forbidden.
	ErrForbidden = errors.New("audit: forbidden")
)

// Identity is who sent a request, as the application knows it.
type Identity struct {
	// Actor is who makes the changes. The zero Actor is for requests that need
	// no login; their changes are made by [Unknown], or fail as
	// [Config.RequireActor] says.
	Actor Actor
	// Initiator is on whose behalf the actor acts. Zero if on their own.
	Initiator Actor
	// Workspace is the workspace that the request is about. Empty if it names
	// none.
	Workspace string
}

// MiddlewareConfig is how [Middleware] works. The zero MiddlewareConfig, and a
// nil one, believe nothing that a client says of itself.
type MiddlewareConfig struct {
	// TrustRequestID takes the request's id from its header X-Request-Id, if
	// that holds 1 to 128 visible ASCII characters. Set it only behind a proxy
	// that sets the header itself. Defaults to a new UUID for each request.
	TrustRequestID bool

	// TrustedProxies are the networks of the proxies in front of the server. If
	// the connection comes from one of them, the client's address is taken from
	// X-Forwarded-For: the last one there that is not a trusted proxy's. What
	// stands before it may be made up and is ignored. Defaults to none: the
	// address is the connection's.
	TrustedProxies []netip.Prefix

	// Origin is the origin of what these requests change. Defaults to leaving
	// it as it is.
	Origin Origin

	// OnError answers a request whose sender could not be resolved. It may log
	// the error, which must not reach the client. Defaults to an answer of the
	// status alone: 401 for ErrUnauthenticated, 403 for ErrForbidden and 500 for
	// any other error.
	OnError func(w http.ResponseWriter, r *http.Request, err error)
}

// Middleware returns net/http middleware that puts into each request's context
// who sent it: actor, initiator and workspace, as resolve tells, and the
// request's id, the client's address and its agent (see [Config.RecordAgent]).
// It replaces all of them if the context has some already. A nil cfg is the
// zero [MiddlewareConfig].
//
// If resolve returns an error, the request ends there; see
// [MiddlewareConfig.OnError]. Resolve runs for every request and must be safe
// for use by several goroutines at once; a panic of it is a panic of the
// handler. Nothing is kept from one request to the next.
//
// A nil resolve is an error, and so is a trusted proxy that is not valid.
func Middleware(resolve func(*http.Request) (Identity, error), cfg *MiddlewareConfig) (func(http.Handler) http.Handler, error) {
	if resolve == nil {
		return nil, errors.New("audit: Middleware needs a function that tells who sent a request, got nil")
	}
	var m MiddlewareConfig
	if cfg != nil {
		m = *cfg
	}
	for i, p := range m.TrustedProxies {
		if !p.IsValid() {
			return nil, fmt.Errorf("audit: TrustedProxies[%d] is not a valid network; make it with netip.ParsePrefix", i)
		}
	}
	if m.OnError == nil {
		m.OnError = answerError
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who, err := resolve(r)
			if err != nil {
				m.OnError(w, r, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(m.context(r, who)))
		})
	}, nil
}

// context is the request's context with what is known of the request.
func (m *MiddlewareConfig) context(r *http.Request, who Identity) context.Context {
	return with(r.Context(), func(c *carrier) {
		c.actor, c.initiator, c.workspace = who.Actor, who.Initiator, who.Workspace
		c.request = Request{ID: m.requestID(r), Address: m.address(r), Agent: r.UserAgent()}
		if m.Origin != "" {
			c.origin = m.Origin
		}
	})
}

func answerError(w http.ResponseWriter, _ *http.Request, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, ErrUnauthenticated):
		status = http.StatusUnauthorized
	case errors.Is(err, ErrForbidden):
		status = http.StatusForbidden
	}
	http.Error(w, http.StatusText(status), status)
}

func (m *MiddlewareConfig) requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); m.TrustRequestID && visibleASCII(id, 128) {
		return id
	}
	return uuid.NewString()
}

func visibleASCII(s string, limit int) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= limit
}

// address is the client's address, empty if the connection has none that can be
// read, as that of a Unix socket.
func (m *MiddlewareConfig) address(r *http.Request) string {
	client, ok := parseAddress(r.RemoteAddr)
	if !ok {
		return ""
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && m.trusted(client); i-- {
		hop, ok := parseAddress(strings.TrimSpace(hops[i]))
		if !ok {
			break // what no proxy would write ends what can be believed
		}
		client = hop
	}
	return client.String()
}

func (m *MiddlewareConfig) trusted(ip netip.Addr) bool {
	for _, p := range m.TrustedProxies {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// parseAddress reads an address with or without a port.
func parseAddress(s string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	ip, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return ip.Unmap().WithZone(""), err == nil
}

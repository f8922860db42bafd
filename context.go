package audit

import (
	"context"

	"github.com/google/uuid"
)

// carrier is all that a context carries for this package. It is copied when
// something is added, so that reading any of it is one look-up.
type carrier struct {
	actor     Actor
	initiator Actor
	origin    Origin
	workspace string
	reason    string
	request   Request
	changeSet uuid.UUID
}

type carrierKey struct{}

func carried(ctx context.Context) carrier {
	if c, ok := ctx.Value(carrierKey{}).(*carrier); ok {
		return *c
	}
	return carrier{}
}

func with(ctx context.Context, set func(*carrier)) context.Context {
	c := carried(ctx)
	set(&c)
	return context.WithValue(ctx, carrierKey{}, &c)
}

// WithActor returns a context whose changes are made by a. It is the only way
// to name an actor: there is no global and no default.
func WithActor(ctx context.Context, a Actor) context.Context {
	return with(ctx, func(c *carrier) { c.actor = a })
}

// ActorFrom returns the actor of the context, or the zero Actor.
func ActorFrom(ctx context.Context) Actor { return carried(ctx).actor }

// WithInitiator returns a context whose changes are made on behalf of a,
// for example by a job of [System] which a user started.
func WithInitiator(ctx context.Context, a Actor) context.Context {
	return with(ctx, func(c *carrier) { c.initiator = a })
}

// InitiatorFrom returns the initiator of the context, or the zero Actor.
func InitiatorFrom(ctx context.Context) Actor { return carried(ctx).initiator }

// WithOrigin returns a context whose changes come in by o.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return with(ctx, func(c *carrier) { c.origin = o })
}

// OriginFrom returns the origin of the context. Empty if not known.
func OriginFrom(ctx context.Context) Origin { return carried(ctx).origin }

// WithWorkspace returns a context whose changes belong to a workspace. A
// record that names its own workspace must name the same one; see
// [ErrWorkspaceMismatch].
func WithWorkspace(ctx context.Context, workspace string) context.Context {
	return with(ctx, func(c *carrier) { c.workspace = workspace })
}

// WorkspaceFrom returns the workspace of the context. Empty if none is set.
func WorkspaceFrom(ctx context.Context) string { return carried(ctx).workspace }

// WithReason returns a context whose changes are explained by reason.
func WithReason(ctx context.Context, reason string) context.Context {
	return with(ctx, func(c *carrier) { c.reason = reason })
}

// ReasonFrom returns the reason of the context. Empty if none was given.
func ReasonFrom(ctx context.Context) string { return carried(ctx).reason }

// WithRequest returns a context whose changes come from r.
func WithRequest(ctx context.Context, r Request) context.Context {
	return with(ctx, func(c *carrier) { c.request = r })
}

// RequestFrom returns the request of the context, or the zero Request.
func RequestFrom(ctx context.Context) Request { return carried(ctx).request }

// WithChangeSet returns a context whose changes all belong to one change set,
// so that several transactions tell one story. Without it every transaction
// has a change set of its own. The zero id removes it again.
func WithChangeSet(ctx context.Context, id uuid.UUID) context.Context {
	return with(ctx, func(c *carrier) { c.changeSet = id })
}

// ChangeSetFrom returns the change set of the context, or the zero id.
func ChangeSetFrom(ctx context.Context) uuid.UUID { return carried(ctx).changeSet }

package audit_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gormtrail/audit"
)

func TestContextCarriesEachThingByItself(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	require.Zero(t, audit.ActorFrom(ctx))
	require.Zero(t, audit.InitiatorFrom(ctx))
	require.Empty(t, audit.OriginFrom(ctx))
	require.Empty(t, audit.WorkspaceFrom(ctx))
	require.Empty(t, audit.ReasonFrom(ctx))
	require.Zero(t, audit.RequestFrom(ctx))
	require.Zero(t, audit.ChangeSetFrom(ctx))

	request := audit.Request{ID: "r", Address: "a", Agent: "b"}
	full := audit.WithActor(ctx, jo)
	full = audit.WithInitiator(full, audit.System)
	full = audit.WithOrigin(full, audit.OriginKiosk)
	full = audit.WithWorkspace(full, "w1")
	full = audit.WithReason(full, "because")
	full = audit.WithRequest(full, request)
	full = audit.WithChangeSet(full, id(1))
	require.Equal(t, jo, audit.ActorFrom(full))
	require.Equal(t, audit.System, audit.InitiatorFrom(full))
	require.Equal(t, audit.OriginKiosk, audit.OriginFrom(full))
	require.Equal(t, "w1", audit.WorkspaceFrom(full))
	require.Equal(t, "because", audit.ReasonFrom(full))
	require.Equal(t, request, audit.RequestFrom(full))
	require.Equal(t, id(1), audit.ChangeSetFrom(full))
}

func TestContextsDoNotChangeEachOther(t *testing.T) {
	t.Parallel()
	outer := audit.WithWorkspace(audit.WithActor(context.Background(), jo), "w1")
	one := audit.WithActor(outer, audit.Actor{ID: "18"})
	other := audit.WithReason(outer, "x")
	require.Equal(t, jo, audit.ActorFrom(outer))
	require.Equal(t, "18", audit.ActorFrom(one).ID)
	require.Equal(t, "w1", audit.WorkspaceFrom(one))
	require.Equal(t, jo, audit.ActorFrom(other))
	require.Empty(t, audit.ReasonFrom(outer))
	require.Zero(t, audit.ChangeSetFrom(audit.WithChangeSet(audit.WithChangeSet(outer, id(1)), uuid.Nil)), "the zero id removes a change set")
}

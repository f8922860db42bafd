package audit

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestTextsAreCleaned(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in, want string
		limit          int
	}{
		{"a good text stays", "Grüße 👍", "Grüße 👍", 30},
		{"a text of just the limit stays", "12345678", "12345678", 8},
		{"a long text is cut with an ellipsis", "123456789", "12345…", 8},
		{"a cut does not split a character", "1234世世", "1234…", 8},
		{"a cut may leave the ellipsis alone", "👍👍", "…", 6},
		{"NUL is replaced", "a\x00b", "a\uFFFDb", 30},
		{"invalid bytes are replaced", "a\xff\xfeb", "a\uFFFDb", 30},
		{"half a character is replaced", "a\xe4\xb8", "a\uFFFD", 30},
		{"what grows by being replaced is cut", "\x00\x00\x00\x00", "\uFFFD…", 8},
		{"many invalid bytes are one character", strings.Repeat("\xff", 100), "\uFFFD", 8},
	} {
		require.Equal(t, tt.want, cleanText(tt.in, tt.limit), tt.name)
	}
}

func TestIDsThatHadToBeCleanedStayDistinct(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 500)
	ids := []string{
		"", "a", strings.Repeat("x", MaxIDBytes), strings.Repeat("x", MaxIDBytes+1), long + "1", long + "2", "a\x00", "a\xff", "a\xfe", "a\uFFFD",
		strings.Repeat("\x00", 500), strings.Repeat("\x00", 501), strings.Repeat("\xffa", 90), strings.Repeat("世", 100), strings.Repeat("世", 100) + "a",
	}
	seen := map[string]bool{}
	for _, id := range ids {
		got := cleanID(id)
		require.False(t, seen[got], "%q", id)
		seen[got] = true
		require.Equal(t, got, cleanID(got), "cleaning again changes nothing")
		require.LessOrEqual(t, len(got), MaxIDBytes)
	}
}

func FuzzCleanedTextsAreStorable(f *testing.F) {
	f.Add("Grüße\x00\xff", 8)
	f.Add(strings.Repeat("\x00", 200), 126)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 3 || limit > 1000 {
			return
		}
		for got, most := range map[string]int{cleanText(s, limit): limit, cleanID(s): MaxIDBytes} {
			require.True(t, utf8.ValidString(got))
			require.NotContains(t, got, "\x00")
			require.LessOrEqual(t, len(got), most)
		}
		if utf8.ValidString(s) && !strings.Contains(s, "\x00") && len(s) <= min(limit, MaxIDBytes) {
			require.Equal(t, s, cleanText(s, limit))
			require.Equal(t, s, cleanID(s))
		}
		require.Equal(t, cleanText(s, limit), cleanText(cleanText(s, limit), limit))
	})
}

func TestEveryTextOfAnEventIsCleaned(t *testing.T) {
	t.Parallel()
	bad := "a\x00\xff" + strings.Repeat("b", 5000)
	actor := Actor{Kind: ActorKind(bad), ID: bad, Name: bad}
	e := Event{
		Workspace: bad, Actor: actor, Initiator: actor, Operation: Operation(bad), Origin: Origin(bad),
		Entity: Entity{Type: EntityType(bad), ID: bad, Label: bad, Owner: bad}, Ownership: Ownership(bad), ChangeSet: uuid.New(),
		Changes: []Change{{Field: "f", Before: Value{Label: bad}, After: Value{Label: bad}}},
		Request: Request{ID: bad, Address: bad, Agent: bad}, Reason: bad,
	}
	e.clean()
	short := []string{
		e.Workspace, string(e.Actor.Kind), e.Actor.ID, string(e.Initiator.Kind), e.Initiator.ID, string(e.Operation), string(e.Origin),
		string(e.Entity.Type), e.Entity.ID, e.Entity.Owner, string(e.Ownership), e.Request.ID, e.Request.Address,
	}
	long := []string{e.Actor.Name, e.Initiator.Name, e.Entity.Label, e.Request.Agent, e.Changes[0].Before.Label, e.Changes[0].After.Label}
	for _, s := range append(append(short, long...), e.Reason) {
		require.True(t, storable(s))
		require.True(t, strings.HasPrefix(s, "a\uFFFD"))
		require.LessOrEqual(t, len(s), maxReason)
	}
	for _, s := range short {
		require.Len(t, s, MaxIDBytes)
	}
	for _, s := range long {
		require.Len(t, s, MaxLabelBytes)
	}
	require.Equal(t, e.Entity.ID, e.Entity.Owner, "one id cleaned twice is one id")
}

func TestAddressesAreShortenedToTheirNetwork(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"203.0.113.9": "203.0.113.0", "::ffff:203.0.113.9": "203.0.113.0", "2001:db8:1:2:3:4:5:6": "2001:db8:1::", "::1": "::",
		"fe80::1%eth0": "fe80::", "203.0.113.9:80": "", "localhost": "", "203.0.113.0": "203.0.113.0", "2001:db8:1::": "2001:db8:1::",
	} {
		require.Equal(t, want, network(in), in)
	}
}

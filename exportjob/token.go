package exportjob

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gormtrail/audit"
)

// The layout of a token's bytes: version, job, expiry in seconds since 1970,
// signature. Their number divides by three, so that base64 has no spare bits and
// every text has one meaning.
const (
	tokenVersion  = 1
	tokenIDAt     = 1
	tokenExpiryAt = tokenIDAt + 16
	tokenSumAt    = tokenExpiryAt + 8
	tokenSize     = tokenSumAt + sha256.Size
)

var tokenText = base64.RawURLEncoding.Strict()

// Token returns a text that fits into a URL and stands for the download of the
// job's file by its requester, until the file expires. It is signed with
// [Config.Key]. The empty text is returned for a job that is not ready.
//
// The one who follows the link is still to be signed in as the requester: see
// [Queue.Verify].
func (q *Queue) Token(job Job) string {
	if job.State != Ready {
		return ""
	}
	b := make([]byte, 0, tokenSize)
	b = append(b, tokenVersion)
	b = append(b, job.ID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(job.Expires.Unix()))
	return tokenText.EncodeToString(append(b, sign(q.cfg.Key, b, job.Workspace, job.Requester)...))
}

// Verify returns the id of the job that a token stands for, if it was made for
// this requester in this workspace, for [Queue.Open]. It returns [ErrNotFound]
// for a token that is damaged, forged or another's, and [ErrExpired] for one that
// is too old.
func (q *Queue) Verify(workspace string, requester audit.Actor, token string) (uuid.UUID, error) {
	if len(token) != tokenText.EncodedLen(tokenSize) {
		return uuid.Nil, ErrNotFound
	}
	b, err := tokenText.DecodeString(token)
	if err != nil || len(b) != tokenSize || b[0] != tokenVersion || !q.signed(b, workspace, requester) {
		return uuid.Nil, ErrNotFound
	}
	expires := time.Unix(int64(binary.BigEndian.Uint64(b[tokenExpiryAt:])), 0)
	if !q.now().Before(expires) {
		return uuid.Nil, fmt.Errorf("%w on %s", ErrExpired, expires.UTC().Format(time.RFC1123))
	}
	return uuid.UUID(b[tokenIDAt:tokenExpiryAt]), nil
}

// signed reports whether one of the keys has signed the token.
func (q *Queue) signed(b []byte, workspace string, requester audit.Actor) bool {
	good := false
	for _, key := range append([][]byte{q.cfg.Key}, q.cfg.FormerKeys...) {
		good = hmac.Equal(b[tokenSumAt:], sign(key, b[:tokenSumAt], workspace, requester)) || good
	}
	return good
}

// sign binds what a token says to a requester. The lengths keep one text from
// passing for the end of another.
func sign(key, head []byte, workspace string, requester audit.Actor) []byte {
	kind := requester.Kind
	if kind == "" {
		kind = audit.KindUser
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("github.com/gormtrail/audit/exportjob\x00"))
	mac.Write(head)
	for _, text := range []string{workspace, string(kind), requester.ID} {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text))))
		mac.Write([]byte(text))
	}
	return mac.Sum(nil)
}

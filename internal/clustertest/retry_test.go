package clustertest

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
)

// Request is a change that was asked for. Its row is committed with the change.
type Request struct {
	ID string `gorm:"primaryKey;size:36"`
}

// once makes a change once, on the first node that can.
func once(ctx context.Context, nodes []*gorm.DB, request string, change func(tx *gorm.DB) error) error {
	for node := 0; ; {
		before := false
		err := nodes[node].WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			// Refused if an earlier attempt was committed, though its answer was lost.
			if err := tx.Create(&Request{ID: request}).Error; err != nil {
				before = code(err) == 1062
				return err
			}
			return change(tx)
		})
		switch {
		case err == nil, before:
			return nil
		case elsewhere(err):
			node = (node + 1) % len(nodes)
		case !again(err):
			return err
		}
		select {
		case <-ctx.Done(): // the outcome is not known; whoever asks again with the same request learns it
			return errors.Join(ctx.Err(), err)
		case <-time.After(rand.N(50 * time.Millisecond)):
		}
	}
}

// again reports whether the whole transaction was rolled back and may be tried
// again: 1213 lost against another node, be it at COMMIT, or is a deadlock; 1205
// waited too long for a lock; 1317 was interrupted by what another node has written,
// as was 1064 if it is about a trigger, which was being read then.
func again(err error) bool {
	n := code(err)
	return n == 1213 || n == 1205 || n == 1317 ||
		n == 1064 && strings.Contains(err.Error(), "has an error in its body")
}

// elsewhere reports whether another node should be asked: 1047 is apart from the
// others, 1180 could not reach them at COMMIT, 1053 is shutting down; or the
// connection is lost.
func elsewhere(err error) bool {
	var network net.Error
	n := code(err)
	return n == 1047 || n == 1180 || n == 1053 ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &network)
}

// code is the number by which the server names an error, 0 if it does not.
func code(err error) uint16 {
	var answer *mysql.MySQLError
	if errors.As(err, &answer) {
		return answer.Number
	}
	return 0
}

// What people copy from the document is what is tested here.
func TestTheCodeOfTheDocumentIsTested(t *testing.T) {
	document, err := os.ReadFile("../../docs/distributed.md")
	require.NoError(t, err)
	tested := ""
	for _, file := range []string{"retry_test.go", "replication_test.go"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		tested += unindented(string(text))
	}
	parts := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(document), -1)
	for _, block := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(document), -1) {
		parts = append(parts, regexp.MustCompile(`(?m)^([^;]+);`).FindAllStringSubmatch(block[1], -1)...)
	}
	require.Greater(t, len(parts), 10)
	for _, part := range parts {
		require.Contains(t, tested, unindented(part[1]))
	}
}

// unindented is text without the tabs at the beginning of its lines.
func unindented(text string) string {
	return regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(text, "")
}

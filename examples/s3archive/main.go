// Command s3archive keeps the events that are older than a year in a bucket: of
// Amazon S3, or of anything else that speaks its language.
//
//	go run . -bucket 's3://acme-audit?region=eu-central-1'
//	go run . -bucket 's3://acme-audit?region=us-east-1&endpoint=http://127.0.0.1:9000&use_path_style=true'
//
// Without a bucket it takes one in memory. See package s3blob of gocloud.dev for
// the parameters and for where the credentials come from.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/uuid"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/memblob" // what -bucket may name
	_ "gocloud.dev/blob/s3blob"

	"github.com/gormtrail/audit"
	"github.com/gormtrail/audit/archive"
	"github.com/gormtrail/audit/retention"
	"github.com/gormtrail/audit/store/memstore"
)

func main() {
	url := flag.String("bucket", "mem://", "the bucket")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, *url, time.Now); err != nil {
		fmt.Fprintln(os.Stderr, "s3archive:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, url string, now func() time.Time) (err error) {
	bucket, err := blob.OpenBucket(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bucket.Close()) }()
	archives, err := archive.New(place{bucket})
	if err != nil {
		return err
	}

	live := memstore.New() // an application has package sqlstore's
	if err := live.Append(ctx, log(now())); err != nil {
		return err
	}
	rec, err := audit.New(live, &audit.Config{Now: now})
	if err != nil {
		return err
	}
	keeper, err := retention.New(rec, &retention.Config{Archive: archives, Now: now})
	if err != nil {
		return err
	}
	if _, err := keeper.Purge(ctx); err != nil {
		return err
	}

	for _, from := range []struct {
		name  string
		store audit.Store
	}{{"live", live}, {"bucket", archives}, {"both", audit.Merge(live, archives)}} {
		n := 0
		for _, err := range audit.Query(ctx, from.store, audit.Filter{Workspace: "acme", Types: []audit.EntityType{audit.TypeProject}}) {
			if err != nil {
				return err
			}
			n++
		}
		fmt.Fprintf(out, "%s: %d events of projects\n", from.name, n)
	}
	return nil
}

// log has an event of each of the last 30 months.
func log(now time.Time) []audit.Event {
	events := make([]audit.Event, 30)
	for i := range events {
		events[i] = audit.Event{
			ID: uuid.New(), Time: now.UTC().AddDate(0, -i, 0).Truncate(time.Microsecond), Workspace: "acme",
			Actor: audit.Actor{ID: "17", Name: "Jo"}, Operation: audit.Updated,
			Entity:        audit.Entity{Type: audit.TypeProject, ID: "p1", Label: "Apollo"},
			Changes:       []audit.Change{{Field: "budget", Before: audit.Value{JSON: json.RawMessage(fmt.Sprint(i + 1))}, After: audit.Value{JSON: json.RawMessage(fmt.Sprint(i))}}},
			SchemaVersion: audit.SchemaVersion,
		}
	}
	return events
}

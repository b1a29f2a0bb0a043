// Serve runs a pair of linked clusters on loopback, so that any client in any language can be pointed
// at them. Nothing of it outlives the program.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/mirrortest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func run(ctx context.Context, w io.Writer) error {
	pair, err := mirrortest.Start(mirrortest.Options{Topics: []mirrortest.Topic{
		{Name: "topic-1"}, {Name: "topic-2"}, {Name: "orders.eu"}, {Name: "orders.us"},
		{Name: "stopped", Status: mirror.StatusStopped},
		{Name: "error-429"}, {Name: "error-500"},
	}})
	if err != nil {
		return err
	}
	// Asking for one of these topics shows an answer that is hard to come by otherwise.
	pair.Local.Inject(mirrortest.Fault{Topic: "error-429", Every: true, Do: mirrortest.RateLimited()})
	pair.Local.Inject(mirrortest.Fault{
		Topic: "error-500", Every: true, Do: mirrortest.Error(500, 50003, "This server had a retriable error."),
	})

	var b strings.Builder
	fmt.Fprintf(&b, "Two linked clusters, until you interrupt this.\n\n")
	fmt.Fprintf(&b, "%-8s %-12s %-24s %-18s %s\n", "CLUSTER", "ID", "ENDPOINT", "KEY", "SECRET")
	for _, row := range []struct {
		name string
		*mirrortest.Cluster
	}{{"local", pair.Local}, {"remote", pair.Remote}} {
		key, secret := row.APIKey()
		fmt.Fprintf(&b, "%-8s %-12s %-24s %-18s %s\n", row.name, row.ID, row.Endpoint, key, secret)
	}
	key, secret := pair.Local.APIKey()
	fmt.Fprintf(&b, `
link           %s
mirror topics  topic-1, topic-2, orders.eu, orders.us (on local)
special        stopped has stopped already; error-429 and error-500 answer like that

A dry run of each verb; without validate_only=true it is done.

`, pair.Link())
	for _, verb := range mirror.Verbs() {
		fmt.Fprintf(&b, "curl -s -u %s:%s --json '{\"mirror_topic_names\":[\"topic-1\",\"stopped\"]}' "+
			"'%s/kafka/v3/clusters/%s/links/%s/mirrors:%s?validate_only=true'\n",
			key, secret, pair.Local.Endpoint, pair.Local.ID, pair.Link(), verb)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return errors.Join(err, pair.Close())
	}
	<-ctx.Done()
	return pair.Close()
}

// Serve runs a pair of linked clusters on loopback, so that any client in any language can be pointed
// at them. Nothing of it outlives the program.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func main() {
	port := flag.Int("port", 0, "the local cluster's port; the remote cluster has the next; 0 is any two")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, *port); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func run(ctx context.Context, w io.Writer, port int) (err error) {
	caughtUp := []mirrortest.Partition{{LastSourceFetchOffset: 340}, {LastSourceFetchOffset: 0}}
	pair, err := mirrortest.Start(mirrortest.Options{Settle: 3 * time.Second, Topics: []mirrortest.Topic{
		{Name: "orders.eu", Partitions: caughtUp}, {Name: "orders.us", Partitions: caughtUp},
		{Name: "payments", Partitions: caughtUp}, {Name: "refunds", Partitions: caughtUp},
		{Name: "lags", Partitions: []mirrortest.Partition{{Lag: 12, LastSourceFetchOffset: 340}}},
		{
			Name: "cut-off", Status: mirror.StatusSourceUnavailable,
			Partitions: []mirrortest.Partition{{Lag: 12, LastSourceFetchOffset: 340}},
		},
		{Name: "stopped", Status: mirror.StatusStopped, Partitions: caughtUp},
		{Name: "left-out", Partitions: caughtUp}, {Name: "lost", Partitions: caughtUp},
		{Name: "error-429", Partitions: caughtUp}, {Name: "error-500", Partitions: caughtUp},
		{Name: "waits", Partitions: caughtUp},
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pair.Close()) }()
	// A request for one of these shows what is hard to come by otherwise.
	for _, f := range []mirrortest.Fault{
		{Topic: "error-429", Do: mirrortest.RateLimited()},
		{Topic: "error-500", Do: mirrortest.Error(500, 50003, "This server had a retriable error."), AfterApply: true},
		{Topic: "lost", Do: mirrortest.Cut(0), AfterApply: true},
		{Topic: "left-out", Do: mirrortest.LeaveOut(), AfterApply: true},
	} {
		f.Every = true
		pair.Local.Inject(f)
	}
	pair.Local.SetReasons("waits", mirror.Reason{Code: "CONSUMER_GROUP_IN_USE_ERROR", Message: "group billing is active"})

	if port != 0 {
		for i, c := range []*mirrortest.Cluster{pair.Local, pair.Remote} {
			address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port+i))
			listener, listenErr := new(net.ListenConfig).Listen(ctx, "tcp", address)
			if listenErr != nil {
				return listenErr
			}
			c.Endpoint = "http://" + listener.Addr().String()
			server := &http.Server{Handler: c, ReadHeaderTimeout: 10 * time.Second}
			defer func() { err = errors.Join(err, server.Close()) }()
			go func() { _ = server.Serve(listener) }() // until it is closed
		}
	}
	if _, err := io.WriteString(w, help(pair)); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// help says what there is, and how to reach it.
func help(pair *mirrortest.Pair) string {
	var b strings.Builder
	fmt.Fprintf(&b, `Two linked clusters, until you interrupt this. The link is %s on both.

mirror topics on %s: orders.eu, orders.us, payments, refunds
lags       has a lag of 12
cut-off    is SOURCE_UNAVAILABLE, with a lag of 12: for an unplanned failover
stopped    has stopped its mirror already
waits      does not get beyond PENDING_STOPPED

A call for one of these shows it for all that it asks for, so take one at a time. A dry run shows only the first:
error-429  is turned away by the rate limiter
error-500  is changed, and the answer is a 500
lost       is changed, and the answer is lost
left-out   is changed, and left out of the answer

For mirror.ConfigFromEnv, make dry-run and the failover example:

`, pair.Link(), pair.Local.ID)
	var tokens []string
	for _, c := range []struct {
		*mirrortest.Cluster
		prefix, token string
	}{{pair.Local, "", "local-token"}, {pair.Remote, "OTHER_", "remote-token"}} {
		key, secret := c.APIKey()
		c.AcceptToken(c.token, "")
		fmt.Fprintf(&b, "export %[1]sKAFKA_REST_ENDPOINT=%[2]s %[1]sKAFKA_CLUSTER_ID=%[3]s "+
			"%[1]sKAFKA_API_KEY=%[4]s %[1]sKAFKA_API_SECRET=%[5]s\n", c.prefix, c.Endpoint, c.ID, key, secret)
		tokens = append(tokens, fmt.Sprintf("%s for %s", c.token, c.ID))
	}
	fmt.Fprintf(&b, "\nBearer tokens: %s.\n", strings.Join(tokens, ", "))
	fmt.Fprintf(&b, "\nA dry run of each verb; without validate_only=true it is done.\n\n")
	key, secret := pair.Local.APIKey()
	for _, verb := range mirror.Verbs() {
		fmt.Fprintf(&b, "curl -s -u %s:%s --json '{\"mirror_topic_names\":[\"payments\",\"stopped\"]}' "+
			"'%s/kafka/v3/clusters/%s/links/%s/mirrors:%s?validate_only=true'\n",
			key, secret, pair.Local.Endpoint, pair.Local.ID, pair.Link(), verb)
	}
	return b.String()
}

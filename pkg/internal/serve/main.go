// Serve runs a pair of linked clusters on loopback for any client in any language. The clusters end with the program.
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

// oddLink is the link of topics with states that are otherwise hard to reproduce.
const oddLink = "odd-link"

func run(ctx context.Context, w io.Writer, port int) (err error) {
	caughtUp := []mirrortest.Partition{{LastSourceFetchOffset: 340}, {LastSourceFetchOffset: -1}}
	lagging := []mirrortest.Partition{{Lag: 12, LastSourceFetchOffset: 340}}
	topics := []mirrortest.Topic{
		{Name: "orders.eu"}, {Name: "orders.us"}, {Name: "payments"}, {Name: "refunds"},
		{Name: "lags", Link: oddLink, Partitions: lagging},
		{Name: "cut-off", Link: oddLink, Partitions: lagging, Status: mirror.StatusSourceUnavailable},
		{Name: "stopped", Link: oddLink, Status: mirror.StatusStopped}, {Name: "waits", Link: oddLink},
		{Name: "left-out", Link: oddLink}, {Name: "lost", Link: oddLink}, {Name: "refused", Link: oddLink},
		{Name: "error-429", Link: oddLink}, {Name: "error-500", Link: oddLink},
	}
	for i := range topics {
		if topics[i].Partitions == nil {
			topics[i].Partitions = caughtUp
		}
	}
	pair, err := mirrortest.Start(mirrortest.Options{
		Takes: 3 * time.Second, Topics: topics, Groups: [2][]mirrortest.Group{{
			{ID: "billing", State: "STABLE", Topics: []string{"waits"}}, {ID: "shipping", State: "EMPTY"},
		}},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pair.Close()) }()
	for _, f := range []mirrortest.Fault{
		{Topic: "error-429", Do: mirrortest.RateLimited()},
		{Topic: "error-500", Do: mirrortest.Error(500, 50003, "This server had a retriable error."), AfterApply: true},
		{Topic: "lost", Do: mirrortest.Cut(0), AfterApply: true},
		{Topic: "left-out", Do: mirrortest.LeaveOut(), AfterApply: true},
		{Topic: "refused", Do: mirrortest.Refuse(400, "Topic 'refused' is refused, whatever is asked")},
	} {
		f.Every = true
		pair.Local.Inject(f)
	}

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
			go func() { _ = server.Serve(listener) }() // until the server is closed
		}
	}
	if _, err := io.WriteString(w, help(pair)); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// help describes the clusters: the topics, the settings for a client and commands to try.
func help(pair *mirrortest.Pair) string {
	var b strings.Builder
	local, remote := pair.Local.ID, pair.Remote.ID
	b.WriteString(`Two linked clusters, until you interrupt this program. For clusterlink and mirror.ConfigFromEnv, set
this in another terminal:

`)
	tokens := map[string]string{local: "local-token", remote: "remote-token"}
	for i, prefix := range []string{"", "OTHER_"} {
		c := []*mirrortest.Cluster{pair.Local, pair.Remote}[i]
		key, secret := c.APIKey()
		c.AcceptToken(tokens[c.ID], "")
		fmt.Fprintf(&b, "export %[1]sKAFKA_REST_ENDPOINT=%[2]s %[1]sKAFKA_CLUSTER_ID=%[3]s "+
			"%[1]sKAFKA_API_KEY=%[4]s %[1]sKAFKA_API_SECRET=%[5]s\n", prefix, c.Endpoint, c.ID, key, secret)
	}
	fmt.Fprintf(&b, "\nBearer tokens: %s for %s, %s for %s.\n", tokens[local], local, tokens[remote], remote)
	key, secret := pair.Local.APIKey()
	fmt.Fprintf(&b, `
A planned failover, in this order. A change takes 3 seconds.

clusterlink() { go run ./pkg/cmd/clusterlink "$@"; }
clusterlink status %[1]s
clusterlink check reverse-and-pause %[1]s --groups shipping
clusterlink plan reverse-and-pause %[1]s --all --job friday.job
clusterlink apply friday.job
clusterlink wait friday.job
clusterlink show friday.job

The data flows back once the mirrors on %[3]s go on:

clusterlink plan resume %[1]s --cluster %[3]s --topics-of friday.job:done --job back.job
clusterlink apply back.job

An unplanned failover. Restart this program first. At the end %[3]s, which was the source, is the mirror:

clusterlink plan failover %[1]s --all --job failover.job
clusterlink apply failover.job
clusterlink plan truncate-and-restore %[1]s --cluster %[3]s --topics-of failover.job:done --job restore.job
clusterlink apply restore.job --max-messages 100

Under %[2]s are topics with which something is odd:

lags       has a lag of 12
cut-off    is SOURCE_UNAVAILABLE, with a lag of 12
stopped    has stopped its mirror already
waits      is consumed by the group billing on %[4]s, which is active: a promote does not end
refused    is refused by a row of its own, in a dry run too
left-out   is changed, and left out of the answer

Each of these acts on all topics of its request, so take one at a time. A dry run shows only the first:

error-429  is turned away by the rate limiter
error-500  is changed, and the answer is a 500
lost       is changed, and the answer is lost

clusterlink plan failover %[2]s --all --exclude error-429 --exclude error-500 --exclude lost \
  --job odd.job --leave-out-refused
clusterlink apply odd.job

Any other client works too. A dry run; without validate_only=true it is done:

curl -s -u %[5]s:%[6]s --json '{"mirror_topic_names":["payments"]}' \
  '%[7]s/kafka/v3/clusters/%[4]s/links/%[1]s/mirrors:%[8]s?validate_only=true'
`, pair.Link(), oddLink, remote, local, key, secret, pair.Local.Endpoint, mirror.VerbReverseAndPause)
	return b.String()
}

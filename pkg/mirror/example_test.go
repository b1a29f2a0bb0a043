package mirror_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// linked returns clients of two linked clusters for these examples.
func linked(topics ...mirrortest.Topic) (pair *mirrortest.Pair, local, remote *mirror.Client) {
	pair, err := mirrortest.Start(mirrortest.Options{Topics: topics})
	if err != nil {
		log.Fatal(err)
	}
	local, err1 := mirror.NewClient(pair.Local.Config())
	remote, err2 := mirror.NewClient(pair.Remote.Config())
	if err := errors.Join(err1, err2); err != nil {
		log.Fatal(err)
	}
	return pair, local, remote
}

// dr is a cluster on which orders can be reversed, payments has been already, and the answer forgets refunds.
func dr() (pair *mirrortest.Pair, client *mirror.Client) {
	pair, client, _ = linked(
		mirrortest.Topic{Name: "orders", Partitions: []mirrortest.Partition{{Lag: 12, LastSourceFetchOffset: 340}}},
		mirrortest.Topic{Name: "payments", Partitions: []mirrortest.Partition{}, Status: mirror.StatusStopped},
		mirrortest.Topic{Name: "refunds", Partitions: []mirrortest.Partition{}},
	)
	pair.Local.Inject(mirrortest.Fault{Topic: "refunds", Do: mirrortest.LeaveOut()})
	return pair, client
}

// A dry run with what the environment says of the cluster.
func Example() {
	pair, _, _ := linked(mirrortest.Topic{Name: "payments"}, mirrortest.Topic{Name: "refunds"})
	defer pair.Close()
	key, secret := pair.Local.APIKey()
	for name, value := range map[string]string{
		"KAFKA_REST_ENDPOINT": pair.Local.Endpoint, "KAFKA_CLUSTER_ID": pair.Local.ID, "KAFKA_API_KEY": key, "KAFKA_API_SECRET": secret,
	} {
		os.Setenv(name, value)
		defer os.Unsetenv(name)
	}

	cfg, err := mirror.ConfigFromEnv("")
	if err != nil {
		log.Fatal(err)
	}
	client, err := mirror.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	report, err := client.Validate(context.Background(), mirror.VerbPromote, "dr-link", mirror.Topics("payments", "refunds"))
	fmt.Println(report) // report.Table tells the decision, what to do, which topics, and why
	if err != nil {     // anything short of all accepted
		os.Exit(1)
	}
	// Output:
	// dry run: nothing was changed; promote, link "dr-link": 2 accepted, 0 failed, 0 unknown, 0 untouched
}

// A lost answer, as the README has it.
func TestALostAnswer(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
	client, err := mirror.NewClient(pair.Local.Config())
	require.NoError(t, err)

	report, err := client.Promote(t.Context(), pair.Link(), mirror.Topics("topic-1"))

	require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
	require.Equal(t, []string{"topic-1"}, report.Topics(mirror.Unknown))
	require.Equal(t, 1, pair.Local.Applied("topic-1"))
}

// Every variable that is missing or wrong is in one error. The second cluster of a link has a prefix of its own.
func ExampleConfigFromEnv() {
	os.Setenv("OTHER_KAFKA_CLUSTER_ID", "<lkc-2>")
	defer os.Unsetenv("OTHER_KAFKA_CLUSTER_ID")
	_, err := mirror.ConfigFromEnv("OTHER_")
	fmt.Println(err)
	// Output:
	// invalid argument: OTHER_KAFKA_API_KEY: there is no credential: set OTHER_KAFKA_API_KEY and OTHER_KAFKA_API_SECRET, or OTHER_KAFKA_BEARER_TOKEN_FILE; OTHER_KAFKA_REST_ENDPOINT: it is empty; OTHER_KAFKA_CLUSTER_ID: "<lkc-2>" has a character that no cluster id has
}

// The key must be one of that very Kafka cluster. It is never printed.
func ExampleAPIKey() {
	pair, _, _ := linked(mirrortest.Topic{Name: "orders"})
	defer pair.Close()
	key, secret := pair.Local.APIKey()
	client, err := mirror.NewClient(mirror.Config{
		Endpoint:   pair.Local.Endpoint, // such as https://pkc-00000.region.provider.confluent.cloud
		ClusterID:  pair.Local.ID,       // such as lkc-1
		Credential: mirror.APIKey(key, secret),
	})
	if err != nil {
		log.Fatal(err)
	}
	listing, err := client.Mirrors(context.Background(), "dr-link")
	fmt.Println(listing.Topics(), err)
	// Output:
	// [orders] <nil>
}

// The source is asked for each request, so it caches the token, honours the context, and renews the token in time.
func ExampleBearerToken() {
	pair, _, _ := linked(mirrortest.Topic{Name: "orders"})
	defer pair.Close()
	pair.Local.AcceptToken("token-1", "pool-1")

	var mu sync.Mutex
	var token string
	var expires time.Time
	source := func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Until(expires) < time.Minute {
			fmt.Println("fetching a token") // with ctx, from the identity provider
			token, expires = "token-1", time.Now().Add(time.Hour)
		}
		return token, ctx.Err()
	}
	client, err := mirror.NewClient(mirror.Config{
		Endpoint: pair.Local.Endpoint, ClusterID: pair.Local.ID, Credential: mirror.BearerToken(source, "pool-1"),
	})
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		listing, err := client.Mirrors(context.Background(), "dr-link")
		fmt.Println(listing.Topics(), err)
	}
	// Output:
	// fetching a token
	// [orders] <nil>
	// [orders] <nil>
}

// With mutual TLS the certificate is the credential: it is one of the transport's.
func ExampleNoCredential() {
	transport := mirror.NewTransport()
	// transport.TLSClientConfig.Certificates = []tls.Certificate{certificate}, from tls.LoadX509KeyPair
	client, err := mirror.NewClient(mirror.Config{
		Endpoint: "https://kafka.example:8090", ClusterID: "lkc-1", Credential: mirror.NoCredential(), Transport: transport,
	})
	fmt.Println(client, err)
	// Output:
	// {Endpoint:https://kafka.example:8090 ClusterID:lkc-1} <nil>
}

// traced is a transport around another one: for tracing, metrics, or headers that a gateway wants. It must not send a request
// twice, and should not read the body.
type traced struct{ next http.RoundTripper }

func (t traced) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context()) // a RoundTripper may not change its request
	r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	resp, err := t.next.RoundTrip(r)
	if err == nil {
		fmt.Println(r.Method, r.URL.Path, resp.StatusCode)
	}
	return resp, err
}

// What goes around the library's transport sees each attempt.
func ExampleConfig_transport() {
	pair, _, _ := linked(mirrortest.Topic{Name: "orders"})
	defer pair.Close()
	cfg := pair.Local.Config()
	cfg.Transport = traced{mirror.NewTransport()}
	client, err := mirror.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Pause(context.Background(), "dr-link", mirror.Topics("orders"))
	fmt.Println(err, pair.Requests()[0].Header.Get("Traceparent"))
	// Output:
	// POST /kafka/v3/clusters/lkc-local/links/dr-link/mirrors:pause 200
	// <nil> 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
}

// A Logger gets a record for each call and each wait, and for each attempt at the level debug.
func ExampleConfig_logger() {
	pair, _, _ := linked(mirrortest.Topic{Name: "orders"}, mirrortest.Topic{Name: "refunds", Status: mirror.StatusStopped})
	defer pair.Close()
	cfg := pair.Local.Config()
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case "time", "run", "error": // this page is kept short, and the same from run to run
				return slog.Attr{}
			}
			return a
		},
	}))
	client, err := mirror.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	_, _ = client.Promote(context.Background(), "dr-link", mirror.Topics("orders", "refunds"))
	// Output:
	// level=WARN msg="mirror topics not all accepted" report.verb=promote report.cluster_id=lkc-local report.link=dr-link report.accepted=1 report.failed=1 report.unknown=0 report.untouched=0
}

// progress is a Recorder that prints. One that writes to disk makes a job that can be taken up again: package job is one.
type progress struct{}

func (progress) Sending(_ context.Context, b mirror.Batch) error {
	fmt.Printf("sending %d of %d: %v\n", b.Index+1, b.Of, b.Topics)
	return nil // an error ends the run, and nothing is sent
}

func (progress) Answered(_ context.Context, b mirror.Batch, r *mirror.Report) error {
	fmt.Printf("batch %d of %d: %v\n", b.Index+1, b.Of, r)
	return nil
}

// A Recorder is told of each batch before it is sent and after it was answered.
func ExampleRecorder() {
	pair, _ := dr()
	defer pair.Close()
	cfg := pair.Local.Config()
	cfg.BatchSize = 2 // 500 if it is not set
	cfg.Recorder = progress{}
	client, err := mirror.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	report, _ := client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("orders", "payments", "refunds"))
	fmt.Println(report)
	// Output:
	// sending 1 of 2: [orders payments]
	// batch 1 of 2: reverse-and-pause-mirror, link "dr-link": 1 accepted, 1 failed, 0 unknown, 0 untouched
	// sending 2 of 2: [refunds]
	// batch 2 of 2: reverse-and-pause-mirror, link "dr-link": 0 accepted, 0 failed, 1 unknown, 0 untouched
	// reverse-and-pause-mirror, link "dr-link": 1 accepted, 1 failed, 1 unknown, 0 untouched
}

// A preflight compares the two sides of a link, and says what is in the way of a reversal.
func ExampleCheckPair() {
	pair, local, remote := linked()
	defer pair.Close()
	pair.Remote.OnLink(func(l *mirrortest.Link) {
		l.Configs["link.mode"], l.Configs["consumer.offset.sync.enable"] = "SOURCE", "false"
	})
	ctx := context.Background()
	here, err1 := local.Link(ctx, "dr-link")
	there, err2 := remote.Link(ctx, "dr-link")
	if err := errors.Join(err1, err2); err != nil {
		log.Fatal(err)
	}
	check := mirror.CheckPair(here, there)
	fmt.Println(check.Err())
	fmt.Println("worth a look:", check.WorthALook)
	// Output:
	// the link is not ready for a reversal: on "lkc-remote" link.mode is SOURCE, and a reversal needs BIDIRECTIONAL
	// worth a look: [on "lkc-remote" consumer offset sync is off]
}

// A listing says what a failover has to see to, and how far behind it is.
func ExampleClient_Mirrors() {
	pair, client := dr()
	defer pair.Close()
	listing, err := client.Mirrors(context.Background(), "dr-link")
	if err != nil { // what was read stands in the listing, and something is missing
		log.Fatal(err)
	}
	fmt.Println(listing.Topics(), listing.Lag())
	fmt.Println(listing.Topics(mirror.StatusStopped))
	// Output:
	// [orders refunds] 12 messages in 1 partition; the largest is 12, orders partition 0; not known for 1 topic
	// [payments]
}

// A dry run asks for the server's verdict and changes nothing. What it accepts can then be sent by name.
func ExampleClient_Validate() {
	pair, client := dr()
	defer pair.Close()
	both := mirror.Pattern("(orders|payments)")
	plan, err := client.Validate(context.Background(), mirror.VerbReverseAndPause, "dr-link", both)
	fmt.Println(plan)
	fmt.Println(err != nil, plan.Topics(mirror.Accepted))
	// Output:
	// dry run: nothing was changed; reverse-and-pause-mirror, link "dr-link", pattern "(orders|payments)": 1 accepted, 1 failed, 0 unknown, 0 untouched
	// true [orders]
}

// The local mirror becomes writable, and what was its source becomes a mirror of it, which waits for Resume.
func ExampleClient_ReverseAndPause() {
	pair, local, _ := linked(mirrortest.Topic{Name: "orders"})
	defer pair.Close()
	report, err := local.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("orders"))
	fmt.Println(report, err)
	fmt.Println("here:", pair.Local.Status("orders"), "there:", pair.Remote.Status("orders"))
	// Output:
	// reverse-and-pause-mirror, link "dr-link": 1 accepted, 0 failed, 0 unknown, 0 untouched <nil>
	// here: STOPPED there: PAUSED
}

// As ReverseAndPause, but data flows back at once: there is no intact copy to go back to.
func ExampleClient_ReverseAndStart() {
	pair, local, _ := linked(mirrortest.Topic{Name: "orders"})
	defer pair.Close()
	report, err := local.ReverseAndStart(context.Background(), "dr-link", mirror.Topics("orders"))
	fmt.Println(report, err)
	fmt.Println("here:", pair.Local.Status("orders"), "there:", pair.Remote.Status("orders"))
	// Output:
	// reverse-and-start-mirror, link "dr-link": 1 accepted, 0 failed, 0 unknown, 0 untouched <nil>
	// here: STOPPED there: ACTIVE
}

// The mirror becomes an ordinary topic once it has caught up, as at the end of a migration.
func ExampleClient_Promote() {
	pair, local, _ := linked(mirrortest.Topic{Name: "orders.eu"}, mirrortest.Topic{Name: "orders.us"})
	defer pair.Close()
	report, err := local.Promote(context.Background(), "dr-link", mirror.Prefix("orders."))
	fmt.Println(report, err)
	fmt.Println(report.Topics(mirror.Accepted))
	// Output:
	// promote, link "dr-link", pattern "^(?:orders\..*)$": 2 accepted, 0 failed, 0 unknown, 0 untouched <nil>
	// [orders.eu orders.us]
}

// The mirror becomes an ordinary topic as it is, whether its source is there or not.
func ExampleClient_Failover() {
	pair, local, _ := linked(mirrortest.Topic{Name: "orders", Status: mirror.StatusSourceUnavailable})
	defer pair.Close()
	report, err := local.Failover(context.Background(), "dr-link", mirror.Topics("orders"))
	fmt.Println(report, err)
	// Output:
	// failover, link "dr-link": 1 accepted, 0 failed, 0 unknown, 0 untouched <nil>
}

// A mirror is paused, and resumed by the cluster that holds it.
func ExampleClient_Pause() {
	pair, local, _ := linked(mirrortest.Topic{Name: "orders"})
	defer pair.Close()
	report, err := local.Pause(context.Background(), "dr-link", mirror.Topics("orders"))
	fmt.Println(report, err, pair.Local.Status("orders"))
	// Output:
	// pause, link "dr-link": 1 accepted, 0 failed, 0 unknown, 0 untouched <nil> PAUSED
}

// Until the mirrors on the other cluster are resumed, they are an intact copy of what was reversed.
func ExampleClient_Resume() {
	pair, local, remote := linked(mirrortest.Topic{Name: "orders"})
	defer pair.Close()
	ctx := context.Background()
	report, err := local.ReverseAndPause(ctx, "dr-link", mirror.Topics("orders"))
	if err != nil {
		log.Fatal(err)
	}
	// Wait until they are done (package wait), move the clients, test, decide.
	report, err = remote.Resume(ctx, "dr-link", mirror.Topics(report.Topics(mirror.Accepted)...))
	fmt.Println(report, err, pair.Remote.Status("orders"))
	// Output:
	// resume, link "dr-link": 1 accepted, 0 failed, 0 unknown, 0 untouched <nil> ACTIVE
}

// After a failover the old source may have records that the mirror never got. To make it a mirror is to delete them: the dry
// run says how many, and the limit is yours.
func ExampleClient_TruncateAndRestore() {
	lagging := []mirrortest.Partition{{Lag: 12, LastSourceFetchOffset: 340}}
	pair, survivor, source := linked(mirrortest.Topic{Name: "orders", Partitions: lagging})
	defer pair.Close()
	ctx := context.Background()
	if _, err := survivor.Failover(ctx, "dr-link", mirror.Topics("orders")); err != nil {
		log.Fatal(err)
	}

	// Later, when the old source is back.
	plan, err := source.Validate(ctx, mirror.VerbTruncateAndRestore, "dr-link", mirror.Topics("orders"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("would be deleted:", plan.Truncation())
	_, err = source.TruncateAndRestore(ctx, plan, 10)
	fmt.Println("refused:", errors.Is(err, mirror.ErrInvalidArgument))
	report, err := source.TruncateAndRestore(ctx, plan, 12)
	fmt.Println(report, err)
	// Output:
	// would be deleted: 12 messages of 1 topic
	// refused: true
	// truncate-and-restore, link "dr-link": 1 accepted, 0 failed, 0 unknown, 0 untouched <nil>
}

// The error tells what to do: nothing was done, or look first.
func ExampleIncompleteError() {
	pair, client := dr()
	defer pair.Close()
	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Error(503, 50003, "timed out")})

	_, err := client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("orders"))
	var incomplete *mirror.IncompleteError
	var api *mirror.APIError
	switch {
	case err == nil:
		fmt.Println("all accepted")
	case errors.Is(err, mirror.ErrOutcomeUnknown) && errors.As(err, &incomplete):
		fmt.Println("look at", incomplete.Report.Topics(mirror.Unknown))
	case errors.Is(err, mirror.ErrUnauthenticated), errors.Is(err, mirror.ErrRateLimited):
		fmt.Println("nothing was done")
	}
	if errors.As(err, &api) {
		fmt.Println(api.Status, api.Code, api.Message)
	}
	// Output:
	// look at [orders]
	// 503 50003 timed out
}

// Prefix, Suffix and All can be tried on names at hand.
func ExampleSelection_Match() {
	names := []string{"orders.eu", "orders.us", "orders-old", "payments.eu"}
	for _, s := range []mirror.Selection{mirror.Prefix("orders."), mirror.Suffix(".eu", "-old")} {
		matched, err := s.Match(names)
		fmt.Println(s, matched, err)
	}
	// Output:
	// pattern "^(?:orders\..*)$" [orders.eu orders.us] <nil>
	// pattern "^(?:.*(?:\.eu|-old))$" [orders.eu orders-old payments.eu] <nil>
}

// Everything has to be meant: an expression that was put together with an empty variable is refused.
func ExampleAll() {
	prefix := ""
	_, err := mirror.Pattern(prefix + ".*").Match(nil)
	fmt.Println(err)
	fmt.Println(mirror.All())
	// Output:
	// invalid argument: Pattern: ".*" selects every mirror topic (was a variable empty?): to mean that, use All
	// pattern ".*"
}

// A report is for people, and for machines.
func ExampleReport_Table() {
	pair, client := dr()
	defer pair.Close()
	report, _ := client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("orders", "payments"))
	if err := report.Table(os.Stdout); err != nil {
		log.Fatal(err)
	}
	text, err := json.Marshal(report)
	if err != nil {
		log.Fatal(err)
	}
	var again mirror.Report
	fmt.Println(json.Unmarshal(text, &again), again.Topics(mirror.Failed))
	// Output:
	// do not move clients: 1 failed
	// reverse-and-pause-mirror, link "dr-link": 1 accepted, 1 failed, 0 unknown, 0 untouched
	//
	// accepted         the server accepted the change; it is done when the status is STOPPED, and PAUSED on the other cluster
	// failed           the server refused the topic: see WHY
	// already stopped  1 failed topic: an earlier call may have stopped it; look at the topic before you count it as failed
	//
	// OUTCOME  TOPICS    LAG        WHY
	// failed   payments  not known  400: Topic 'payments' has already stopped its mirror from 'dr-link'
	//
	// lag        12 messages in 1 partition; the largest is 12, orders partition 0; not known for 1 topic
	// truncated  none reported
	// <nil> [payments]
}

// What was left untouched is sent again, and the reports are merged.
func ExampleReport_Merge() {
	pair, client := dr()
	defer pair.Close()
	ctx := context.Background()
	pair.Local.Inject(mirrortest.Fault{Do: mirrortest.Error(403, 40301, "Authorization failed")})
	report, _ := client.ReverseAndPause(ctx, "dr-link", mirror.Topics("orders"))
	fmt.Println(report)
	again, err := client.ReverseAndPause(ctx, "dr-link", mirror.Topics(report.Remaining("orders")...))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Merge(again), report)
	// Output:
	// reverse-and-pause-mirror, link "dr-link": 0 accepted, 0 failed, 0 unknown, 1 untouched
	// <nil> reverse-and-pause-mirror, link "dr-link": 1 accepted, 0 failed, 0 unknown, 0 untouched
}

// What a person finds out by looking at the cluster is written down with its reason. A process that has lost its report makes
// one of the names.
func ExampleReport_Settle() {
	batch := mirror.Batch{ClusterID: "lkc-1", Link: "dr-link", Verb: mirror.VerbPromote, Topics: []string{"orders", "refunds"}}
	report := mirror.UnknownReport(batch, time.Time{})
	fmt.Println(report.Settle(mirror.Accepted, "STOPPED on lkc-1, and a produce went through", "orders"))
	fmt.Println(report.Settle(mirror.Untouched, "ACTIVE for two hours", "refunds"))
	fmt.Println(report)
	fmt.Println("send again:", report.Topics(mirror.Untouched))
	// Output:
	// <nil>
	// <nil>
	// promote, link "dr-link": 1 accepted, 0 failed, 0 unknown, 1 untouched
	// send again: [refunds]
}

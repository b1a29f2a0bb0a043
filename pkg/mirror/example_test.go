package mirror_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// dr is a cluster for these examples: orders can be reversed, payments has been already, and the
// answer forgets refunds.
func dr() (cluster *mirrortest.Cluster, stop func()) {
	pair, err := mirrortest.Start(mirrortest.Options{Topics: []mirrortest.Topic{
		{Name: "orders", Partitions: []mirrortest.Partition{{Lag: 12, LastSourceFetchOffset: 340}}},
		{Name: "payments", Partitions: []mirrortest.Partition{}, Status: mirror.StatusStopped},
		{Name: "refunds", Partitions: []mirrortest.Partition{}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	pair.Local.Inject(mirrortest.Fault{Topic: "refunds", Do: mirrortest.LeaveOut()})
	return pair.Local, func() { _ = pair.Close() }
}

func Example() {
	cluster, stop := dr()
	defer stop()

	key, secret := cluster.APIKey()
	client, err := mirror.NewClient(mirror.Config{
		Endpoint:   cluster.Endpoint, // such as https://pkc-00000.region.provider.confluent.cloud
		ClusterID:  cluster.ID,       // such as lkc-1
		Credential: mirror.APIKey(key, secret),
	})
	if err != nil {
		log.Fatal(err)
	}
	report, err := client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("orders", "payments", "refunds"))
	if err != nil { // anything short of all accepted
		fmt.Println(report)
		for _, f := range report.Failures() {
			fmt.Println("failed:", f.Code, f.Message, f.Topics)
		}
		fmt.Println("look first:", report.Topics(mirror.Unknown))
		fmt.Println("send again:", report.Topics(mirror.Untouched))
	}
	// Output:
	// reverse-and-pause-mirror, link "dr-link": 1 accepted, 1 failed, 1 unknown, 0 untouched
	// failed: 400 Topic 'payments' has already stopped its mirror from 'dr-link' [payments]
	// look first: [refunds]
	// send again: []
}

// A dry run asks for the server's verdict and changes nothing. What it accepts can then be sent by
// name.
func ExampleClient_Validate() {
	cluster, stop := dr()
	defer stop()
	client, err := mirror.NewClient(cluster.Config())
	if err != nil {
		log.Fatal(err)
	}

	both := mirror.Pattern("(orders|payments)")
	plan, err := client.Validate(context.Background(), mirror.VerbReverseAndPause, "dr-link", both)
	fmt.Println(plan.DryRun, plan.Pattern, err != nil)
	fmt.Println(plan.Failures()[0].Message)
	fmt.Println(mirror.Topics(plan.Topics(mirror.Accepted)...))
	// Output:
	// true (orders|payments) true
	// Topic 'payments' has already stopped its mirror from 'dr-link'
	// 1 topic
}

// The error tells what to do: nothing was done, or look first.
func ExampleIncompleteError() {
	cluster, stop := dr()
	defer stop()
	cluster.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Error(503, 50003, "timed out")})
	client, err := mirror.NewClient(cluster.Config())
	if err != nil {
		log.Fatal(err)
	}

	_, err = client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("orders"))
	var incomplete *mirror.IncompleteError
	var api *mirror.APIError
	switch {
	case err == nil:
		fmt.Println("all accepted")
	case errors.Is(err, mirror.ErrUnauthenticated), errors.Is(err, mirror.ErrRateLimited):
		fmt.Println("nothing was done")
	case errors.Is(err, mirror.ErrOutcomeUnknown) && errors.As(err, &incomplete):
		fmt.Println("look at", incomplete.Report.Topics(mirror.Unknown))
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

// Everything has to be meant: an expression that was put together with an empty variable is
// refused.
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
	cluster, stop := dr()
	defer stop()
	client, err := mirror.NewClient(cluster.Config())
	if err != nil {
		log.Fatal(err)
	}
	report, _ := client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("orders", "payments"))
	if err := report.Table(os.Stdout); err != nil {
		log.Fatal(err)
	}
	text, err := json.Marshal(report)
	if err != nil {
		log.Fatal(err)
	}
	var again mirror.Report
	fmt.Println(json.Unmarshal(text, &again), again.Lag())
	// Output:
	// do not move clients: 1 failed
	// reverse-and-pause-mirror, link "dr-link": 1 accepted, 1 failed, 0 unknown, 0 untouched
	//
	// accepted         the server accepted it; it is done when the topic is STOPPED here and PAUSED on the other cluster
	// failed           the server refused it; see why
	// already stopped  1 failed topic: an earlier call may have done it; look at the topic before counting it as failed
	//
	// OUTCOME  TOPICS    LAG        WHY
	// failed   payments  not known  400: Topic 'payments' has already stopped its mirror from 'dr-link'
	//
	// lag        12 messages in 1 partition; the largest is 12, orders partition 0; not known for 1 topic
	// truncated  none reported
	// <nil> 12 messages in 1 partition; the largest is 12, orders partition 0; not known for 1 topic
}

// Reports of the same verb are put together: what was left untouched is sent again, and merged.
func ExampleReport_Merge() {
	cluster, stop := dr()
	defer stop()
	client, err := mirror.NewClient(cluster.Config())
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	cluster.Inject(mirrortest.Fault{Do: mirrortest.Error(403, 40301, "Authorization failed")})
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

// Until the mirrors on the other cluster are resumed, they are an intact copy of what was reversed.
func ExampleClient_Resume() {
	pair, err := mirrortest.Start(mirrortest.Options{Topics: []mirrortest.Topic{{Name: "orders"}, {Name: "refunds"}}})
	if err != nil {
		log.Fatal(err)
	}
	defer pair.Close()
	local, err := mirror.NewClient(pair.Local.Config())
	if err != nil {
		log.Fatal(err)
	}
	remote, err := mirror.NewClient(pair.Remote.Config()) // its own endpoint, id and credential
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	report, err := local.ReverseAndPause(ctx, "dr-link", mirror.Topics("orders", "refunds"))
	fmt.Println(report, err)
	// Wait until they are done, move the clients, test, decide.
	report, err = remote.Resume(ctx, "dr-link", mirror.Topics(report.Topics(mirror.Accepted)...))
	fmt.Println(report, err)
	// Output:
	// reverse-and-pause-mirror, link "dr-link": 2 accepted, 0 failed, 0 unknown, 0 untouched <nil>
	// resume, link "dr-link": 2 accepted, 0 failed, 0 unknown, 0 untouched <nil>
}

// After a failover the old source may have records that the mirror never got. To make it a mirror is to
// delete them: the dry run says how many, and the limit is yours.
func ExampleClient_TruncateAndRestore() {
	pair, err := mirrortest.Start(mirrortest.Options{Topics: []mirrortest.Topic{
		{Name: "orders", Partitions: []mirrortest.Partition{{Lag: 12, LastSourceFetchOffset: 340}}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer pair.Close()
	ctx := context.Background()
	survivor, err := mirror.NewClient(pair.Local.Config())
	if err != nil {
		log.Fatal(err)
	}
	if _, err := survivor.Failover(ctx, "dr-link", mirror.Topics("orders")); err != nil {
		log.Fatal(err)
	}

	// Later, when the old source is back.
	source, err := mirror.NewClient(pair.Remote.Config())
	if err != nil {
		log.Fatal(err)
	}
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
	// would be deleted: 12 messages, by the rows of 1 partition of 1 topic; the server's own total is 12 for 1 topic
	// refused: true
	// truncate-and-restore, link "dr-link": 1 accepted, 0 failed, 0 unknown, 0 untouched <nil>
}

// To look first is to ask with a dry run. That a topic has already stopped its mirror suggests that
// the lost call reversed it; that it can be reversed, that it did not (both assumed). The mirror's
// status on the cluster is what decides.
func ExampleClient_Validate_lookFirst() {
	cluster, stop := dr()
	defer stop()
	client, err := mirror.NewClient(cluster.Config())
	if err != nil {
		log.Fatal(err)
	}
	cluster.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)}) // a lost answer
	report, err := client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("orders"))
	if errors.Is(err, mirror.ErrOutcomeUnknown) {
		look, _ := client.Validate(context.Background(), mirror.VerbReverseAndPause, "dr-link",
			mirror.Topics(report.Topics(mirror.Unknown)...))
		for _, f := range look.Failures() {
			fmt.Println("very likely reversed:", f.Topics, f.Message)
		}
		fmt.Println("very likely not:", look.Topics(mirror.Accepted))
	}
	// Output:
	// very likely reversed: [orders] Topic 'orders' has already stopped its mirror from 'dr-link'
	// very likely not: []
}

// Progress and journal in one: AfterBatch is called with the report of each batch.
func ExampleConfig_batches() {
	cluster, stop := dr()
	defer stop()
	cfg := cluster.Config()
	cfg.BatchSize = 2 // 500 if it is not set
	cfg.AfterBatch = func(_ context.Context, b mirror.Batch, r *mirror.Report) error {
		fmt.Printf("batch %d of %d: %v\n", b.Index+1, b.Of, r)
		return nil
	}
	client, err := mirror.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	report, _ := client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("orders", "payments", "refunds"))
	fmt.Println(report)
	// Output:
	// batch 1 of 2: reverse-and-pause-mirror, link "dr-link": 1 accepted, 1 failed, 0 unknown, 0 untouched
	// batch 2 of 2: reverse-and-pause-mirror, link "dr-link": 0 accepted, 0 failed, 1 unknown, 0 untouched
	// reverse-and-pause-mirror, link "dr-link": 1 accepted, 1 failed, 1 unknown, 0 untouched
}

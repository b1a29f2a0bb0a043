package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

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

// A planned failover: the producers move from the remote to the local cluster, which mirrors it.
func Example_plannedFailover() {
	caughtUp := []mirrortest.Partition{{LastSourceFetchOffset: 340}}
	pair, local, remote := linked(
		mirrortest.Topic{Name: "orders", Partitions: caughtUp}, mirrortest.Topic{Name: "refunds", Partitions: caughtUp},
	)
	defer pair.Close()
	pause := time.Millisecond // 10 s or more in production
	ctx, link, topics := context.Background(), "dr-link", []string{"orders", "refunds"}

	// 1. Do the two sides of the link fit each other?
	here, err := local.Link(ctx, link)
	if err != nil {
		log.Fatal(err)
	}
	there, err := remote.Link(ctx, link)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("link:", mirror.CheckPair(here, there))

	// 2. Stop the producers. Has everything come over?
	fmt.Println("lag gate:", lagGate(ctx, local, link, pause, topics...))

	// 3. The server's verdict.
	plan, err := local.Validate(ctx, mirror.VerbReverseAndPause, link, mirror.Topics(topics...))
	fmt.Println(plan, err)

	// 4. The reversal, and following it until it is done. That decides, whatever came of the call.
	report, err := local.ReverseAndPause(ctx, link, mirror.Topics(topics...))
	if err != nil {
		fmt.Println(err)
	}
	progress, err := local.Follow(ctx, report, mirror.FollowOptions{Other: remote})
	if err != nil {
		log.Fatal(err) // progress.Table says which topics, why, and what to do
	}
	fmt.Println(progress)

	// 5. Move the clients to the local cluster, test, and decide. 6. Let the data flow back.
	resumed, err := remote.Resume(ctx, link, mirror.Topics(progress.Topics(mirror.StageDone)...))
	if err != nil {
		fmt.Println(err)
	}
	progress, err = remote.Follow(ctx, resumed, mirror.FollowOptions{})
	fmt.Println(progress, err)
	// Output:
	// link: <nil>
	// lag gate: <nil>
	// dry run: nothing was changed; reverse-and-pause-mirror, link "dr-link": 2 accepted, 0 failed, 0 unknown, 0 untouched <nil>
	// reverse-and-pause-mirror, link "dr-link": 2 done, 0 in progress, 0 blocked, 0 no sign
	// resume, link "dr-link": 2 done, 0 in progress, 0 blocked, 0 no sign <nil>
}

// An unplanned failover: the remote cluster is lost, and the local one goes on without it. When it is back, it
// is made a mirror, and everything is reversed.
func Example_unplannedFailover() {
	pair, survivor, old := linked(
		mirrortest.Topic{
			Name: "orders", Status: mirror.StatusSourceUnavailable,
			Partitions: []mirrortest.Partition{{Lag: 12, LastSourceFetchOffset: 340}},
		},
		mirrortest.Topic{
			Name: "refunds", Status: mirror.StatusActive, Partitions: []mirrortest.Partition{{LastSourceFetchOffset: 77}},
		},
		mirrortest.Topic{Name: "retired", Status: mirror.StatusStopped},
	)
	defer pair.Close()
	ctx, link := context.Background(), "dr-link"

	// 1. The survivor knows the names. Write the lags down: this is what may be missing.
	before, err := survivor.Mirrors(ctx, link)
	if err != nil {
		log.Fatal(err)
	}
	topics := before.Topics() // all that are not STOPPED
	fmt.Println(topics, "may miss", before.Lag())

	// 2. Fail over, and follow. A topic that stays SOURCE_UNAVAILABLE may be done: try one produce.
	report, err := survivor.Failover(ctx, link, mirror.Topics(topics...))
	if err != nil {
		fmt.Println(err)
	}
	progress, err := survivor.Follow(ctx, report, mirror.FollowOptions{Before: before})
	fmt.Println(progress, err)

	// 3. Later, when the old cluster is back: what has it that the survivor never got? Save that, if it matters.
	plan, err := old.Validate(ctx, mirror.VerbTruncateAndRestore, link, mirror.Topics(topics...))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("would be deleted:", plan.Truncation())

	// 4. Make it a mirror. No topic may lose more than the limit.
	restored, err := old.TruncateAndRestore(ctx, plan, 12)
	if err != nil {
		fmt.Println(err)
	}
	progress, err = old.Follow(ctx, restored, mirror.FollowOptions{})
	fmt.Println(progress, err)

	// 5. ACTIVE is not caught up. Stop the producers, wait for lag 0, and go back as planned: from the old
	// cluster, which holds the mirrors now.
	for _, topic := range topics { // time goes by
		pair.Remote.SetPartitions(topic, mirrortest.Partition{LastSourceFetchOffset: 412})
	}
	fmt.Println("lag gate:", lagGate(ctx, old, link, time.Millisecond, topics...))
	report, err = old.ReverseAndStart(ctx, link, mirror.Topics(topics...))
	if err != nil {
		fmt.Println(err)
	}
	progress, err = old.Follow(ctx, report, mirror.FollowOptions{Other: survivor})
	fmt.Println(progress, err)
	// Output:
	// [orders refunds] may miss 12 messages in 2 partitions; the largest is 12, orders partition 0
	// failover, link "dr-link": 2 done, 0 in progress, 0 blocked, 0 no sign <nil>
	// would be deleted: 12 messages, by the rows of 2 partitions of 2 topics; the server's own total is 12 for 2 topics
	// truncate-and-restore, link "dr-link": 2 done, 0 in progress, 0 blocked, 0 no sign <nil>
	// lag gate: <nil>
	// reverse-and-start-mirror, link "dr-link": 2 done, 0 in progress, 0 blocked, 0 no sign <nil>
}

// An interrupt that ends the context of a call gives up on the batch under way, up to 500 topics, whose outcome is
// then unknown. An error from BeforeBatch lets that batch come to its end, and sends no other.
func ExampleConfig_interrupts() {
	pair, err := mirrortest.Start(mirrortest.Options{Topics: []mirrortest.Topic{{Name: "a"}, {Name: "b"}, {Name: "c"}}})
	if err != nil {
		log.Fatal(err)
	}
	defer pair.Close()

	// The first interrupt calls stop, the second one cancels the call's own context.
	drain, stop := context.WithCancelCause(context.Background())
	cfg := pair.Local.Config()
	cfg.BatchSize = 1
	cfg.BeforeBatch = func(context.Context, mirror.Batch) error { return context.Cause(drain) }
	cfg.AfterBatch = func(_ context.Context, b mirror.Batch, _ *mirror.Report) error {
		if b.Index == 1 { // here it comes
			stop(errors.New("interrupted"))
		}
		return nil
	}
	client, err := mirror.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	report, err := client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("a", "b", "c"))
	fmt.Println(err)
	fmt.Println("left:", report.Remaining("a", "b", "c"))
	// Output:
	// reverse-and-pause-mirror, link "dr-link": 2 accepted, 0 failed, 0 unknown, 1 untouched: BeforeBatch refused batch 3 of 3: interrupted
	// left: [c]
}

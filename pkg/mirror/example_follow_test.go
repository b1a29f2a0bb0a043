package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// From accepted to done: the answer of the reversal is lost, and following it on both clusters finds out.
func ExampleClient_Follow() {
	pair, err := mirrortest.Start(mirrortest.Options{Topics: []mirrortest.Topic{{Name: "orders"}, {Name: "refunds"}}})
	if err != nil {
		log.Fatal(err)
	}
	defer pair.Close()
	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)}) // a lost answer
	local, err := mirror.NewClient(pair.Local.Config())
	if err != nil {
		log.Fatal(err)
	}
	remote, err := mirror.NewClient(pair.Remote.Config())
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()

	report, err := local.ReverseAndPause(ctx, "dr-link", mirror.Topics("orders", "refunds"))
	fmt.Println("unknown:", report.Topics(mirror.Unknown), errors.Is(err, mirror.ErrOutcomeUnknown))

	progress, err := local.Follow(ctx, report, mirror.FollowOptions{
		Other:  remote,
		OnPoll: func(_ context.Context, p *mirror.Progress) { fmt.Println(p) },
	})
	if err != nil { // not all are done: the table says which, why, and what to do
		_ = progress.Table(os.Stdout)
	}
	fmt.Println("done:", progress.Topics(mirror.StageDone))
	fmt.Println("settled:", progress.Report(), progress.Report().Err())
	// Output:
	// unknown: [orders refunds] true
	// reverse-and-pause-mirror, link "dr-link": 2 done, 0 in progress, 0 blocked, 0 no sign
	// done: [orders refunds]
	// settled: reverse-and-pause-mirror, link "dr-link": 2 accepted, 0 failed, 0 unknown, 0 untouched <nil>
}

// A process that has lost its report follows the names: a call was made, or may have been.
func ExampleUnknownReport() {
	pair, err := mirrortest.Start(mirrortest.Options{Topics: []mirrortest.Topic{
		{Name: "orders", Status: mirror.StatusStopped}, {Name: "refunds"},
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer pair.Close()
	client, err := mirror.NewClient(pair.Local.Config())
	if err != nil {
		log.Fatal(err)
	}
	report := mirror.UnknownReport(pair.Local.ID, "dr-link", mirror.VerbPromote, time.Time{}, "orders")
	progress, err := client.Follow(context.Background(), report, mirror.FollowOptions{})
	fmt.Println(progress, err)
	fmt.Println(progress.Followed[0].Notes)
	// Output:
	// promote, link "dr-link": 1 done, 0 in progress, 0 blocked, 0 no sign <nil>
	// [how long it has been so is not known]
}

// What a person finds out by looking at the cluster is written down with its reason.
func ExampleReport_Settle() {
	report := mirror.UnknownReport("lkc-1", "dr-link", mirror.VerbPromote, time.Now(), "orders", "refunds")
	fmt.Println(report.Settle("orders", mirror.Accepted, "STOPPED on lkc-1, and a produce went through"))
	fmt.Println(report.Settle("refunds", mirror.Untouched, "ACTIVE for two hours"))
	fmt.Println(report)
	fmt.Println("send again:", report.Topics(mirror.Untouched))
	// Output:
	// <nil>
	// <nil>
	// promote, link "dr-link": 1 accepted, 0 failed, 0 unknown, 1 untouched
	// send again: [refunds]
}

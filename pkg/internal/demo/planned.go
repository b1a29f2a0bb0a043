package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// planned moves producers from one cluster to the other while both are well.
func planned(ctx context.Context, d *demo) (err error) {
	names := []string{"orders"}
	for i := range 25 {
		names = append(names, fmt.Sprintf("events.%02d", i))
	}
	o := mirrortest.Options{Settle: 2 * time.Second, InMemory: d.inMemory}
	for _, name := range names {
		o.Topics = append(o.Topics, mirrortest.Topic{
			Name: name, Partitions: []mirrortest.Partition{{LastSourceFetchOffset: 340}},
		})
	}
	pair, err := mirrortest.Start(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pair.Close()) }()
	link, topics := pair.Link(), mirror.Topics(names...)
	cfg := pair.Local.Config()
	cfg.BatchSize = 10
	sent := 0
	cfg.AfterBatch = func(_ context.Context, b mirror.Batch, r *mirror.Report) error {
		if !b.DryRun {
			sent += len(r.Results)
			d.progress(sent, len(names), "sent")
		}
		return nil
	}
	local, err := mirror.NewClient(cfg)
	if err != nil {
		return err
	}
	remote, err := mirror.NewClient(pair.Remote.Config())
	if err != nil {
		return err
	}

	d.title("A planned failover: lkc-local mirrors 26 topics of lkc-remote and takes over.")
	d.step("Preflight: do the two sides of the link fit each other?",
		"here, err := local.Link(ctx, link)", "there, err := remote.Link(ctx, link)",
		"mirror.CheckPair(here, there)")
	here, err := local.Link(ctx, link)
	if err != nil {
		return err
	}
	there, err := remote.Link(ctx, link)
	if err != nil {
		return err
	}
	d.say("err: %v", mirror.CheckPair(here, there))

	d.step("The producers have stopped. Has everything come over, twice in a row?",
		"first, err := local.Mirrors(ctx, link)", "later, err := local.Mirrors(ctx, link)",
		"mirror.CheckCaughtUp(first, later, names...)")
	first, err := local.Mirrors(ctx, link)
	if err != nil {
		return err
	}
	later, err := local.Mirrors(ctx, link)
	if err != nil {
		return err
	}
	d.say("err: %v", mirror.CheckCaughtUp(first, later, names...))

	d.step("Dry run: what would the server say? Nothing is changed.",
		"local.Validate(ctx, mirror.VerbReverseAndPause, link, topics)")
	plan, err := local.Validate(ctx, mirror.VerbReverseAndPause, link, topics)
	d.say("%d would be accepted; err: %v", plan.Count(mirror.Accepted), err)

	d.step("Reverse, in batches of 10. The answer to the last batch is lost on its way.",
		"local.ReverseAndPause(ctx, link, topics)")
	pair.Local.SetReasons("orders", mirror.Reason{
		Code: "CONSUMER_GROUP_IN_USE_ERROR", Message: "group billing is active",
	})
	pair.Local.Inject(mirrortest.Fault{Nth: 3, AfterApply: true, Do: mirrortest.Cut(0)})
	report, err := local.ReverseAndPause(ctx, link, topics)
	d.progressEnds()
	d.table(report)

	d.step("Accepted is not done, and unknown is not lost: follow both on both clusters.",
		"local.Follow(ctx, report, mirror.FollowOptions{Other: remote})")
	d.follow(ctx, local, report, mirror.FollowOptions{Other: remote, Patience: 3 * time.Second})

	d.say("\n   One topic waits for a consumer group. The group is stopped: follow again.")
	pair.Local.SetReasons("orders")
	progress := d.follow(ctx, local, report, mirror.FollowOptions{Other: remote})

	d.step("Move the clients to lkc-local, test, and decide. Until the mirrors there are\n" +
		"   resumed, lkc-remote keeps an intact copy of how things were.")

	d.step("All is well: resume the mirrors on lkc-remote, and follow them to ACTIVE.",
		"remote.Resume(ctx, link, mirror.Topics(progress.Topics(mirror.StageDone)...))",
		"remote.Follow(ctx, resumed, mirror.FollowOptions{})")
	resumed, err := remote.Resume(ctx, link, mirror.Topics(progress.Topics(mirror.StageDone)...))
	d.say("%v; err: %v", resumed, err)
	d.follow(ctx, remote, resumed, mirror.FollowOptions{})
	d.say("ACTIVE is not caught up: before the way back, look at the lag again.")
	return nil
}

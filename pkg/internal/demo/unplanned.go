package main

import (
	"context"
	"errors"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// unplanned goes on without a cluster that is lost, and makes a mirror of it when it is back.
func unplanned(ctx context.Context, d *demo) (err error) {
	pair, err := mirrortest.Start(mirrortest.Options{InMemory: d.inMemory, Topics: []mirrortest.Topic{
		{
			Name: "orders", Status: mirror.StatusSourceUnavailable,
			Partitions: []mirrortest.Partition{{Lag: 12, LastSourceFetchOffset: 340}},
		},
		{
			Name: "refunds", Status: mirror.StatusSourceUnavailable,
			Partitions: []mirrortest.Partition{{LastSourceFetchOffset: 77}},
		},
		{Name: "old", Status: mirror.StatusStopped},
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pair.Close()) }()
	link := pair.Link()
	survivor, err := mirror.NewClient(pair.Local.Config())
	if err != nil {
		return err
	}
	source, err := mirror.NewClient(pair.Remote.Config())
	if err != nil {
		return err
	}

	d.title("An unplanned failover: lkc-remote is lost, and lkc-local goes on alone.")
	d.step("What is there, and what will be missing? The survivor's list is all there is.",
		"survivor.Mirrors(ctx, link)")
	listing, err := survivor.Mirrors(ctx, link)
	if err != nil {
		return err
	}
	names := listing.Topics() // all that are not STOPPED
	d.say("not STOPPED: %q; last known lag: %v", names, listing.Lag())

	d.step("Fail over. The answer is lost, and the list goes on showing refunds as it was.",
		"survivor.Failover(ctx, link, mirror.Topics(names...))",
		"survivor.Follow(ctx, report, mirror.FollowOptions{})")
	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
	report, err := survivor.Failover(ctx, link, mirror.Topics(names...))
	d.say("%v\nerr: %v", report, err)
	pair.Local.OnList(func(rows []mirror.Mirror) []mirror.Mirror {
		for i := range rows {
			if rows[i].Topic == "refunds" {
				rows[i] = listing.Mirrors[i]
			}
		}
		return rows
	})
	progress := d.follow(ctx, survivor, report, mirror.FollowOptions{Patience: 2 * time.Second})

	d.step("orders is settled by what was seen. Try one produce to refunds: it goes through,\n   so settle it by hand.",
		`report = progress.Report()`,
		`report.Settle("refunds", mirror.Accepted, "took a produce")`)
	report = progress.Report()
	err = report.Settle("refunds", mirror.Accepted, "took a produce")
	err = errors.Join(err, report.Err())
	d.say("%v; err: %v", report, err)
	pair.Local.OnList(nil)

	d.step("Later lkc-remote is back. What would be cut off its topics to make them mirrors?",
		"source.Validate(ctx, mirror.VerbTruncateAndRestore, link, mirror.Topics(names...))")
	plan, err := source.Validate(ctx, mirror.VerbTruncateAndRestore, link, mirror.Topics(names...))
	if err != nil {
		return err
	}
	d.say("%v", plan.Truncation())

	d.step("Those 12 were looked at, and can go. More than 12 of a topic is refused.",
		"source.TruncateAndRestore(ctx, plan, 12)", "source.Follow(ctx, restored, mirror.FollowOptions{})")
	restored, err := source.TruncateAndRestore(ctx, plan, 12)
	d.say("%v; err: %v", restored, err)
	d.follow(ctx, source, restored, mirror.FollowOptions{})
	d.say("From here it is a planned failover back, called on lkc-remote.")
	return nil
}

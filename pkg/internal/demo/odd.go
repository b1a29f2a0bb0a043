package main

import (
	"context"
	_ "embed"
	"errors"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

//go:embed example.json
var example string

// The link and the partitions are those of the contract's example.
const exampleLink = "my-new-link-1"

var examplePartitions = []mirrortest.Partition{
	{Lag: 0, LastSourceFetchOffset: 0},
	{Lag: 10000, LastSourceFetchOffset: 1000},
	{Lag: 40000, LastSourceFetchOffset: 12030},
}

// oddAnswers shows what the library makes of the contract's own example.
func oddAnswers(ctx context.Context, d *demo) (err error) {
	pair, err := mirrortest.Start(mirrortest.Options{InMemory: d.inMemory, Link: exampleLink, Topics: []mirrortest.Topic{
		{Name: "topic-1"},
		{Name: "topic-2", Partitions: examplePartitions, Status: mirror.StatusStopped},
		{Name: "topic-sb", Partitions: examplePartitions},
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pair.Close()) }()
	client, err := mirror.NewClient(pair.Local.Config())
	if err != nil {
		return err
	}
	contracts := mirrortest.Answer(200, example, "Content-Type", "application/json")

	d.title("The contract's own example as an answer.")
	d.step("One HTTP 200 carries a success and a failure.",
		`client.ReverseAndPause(ctx, link, mirror.Topics("topic-sb", "topic-2"))`)
	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: contracts})
	report, err := client.ReverseAndPause(ctx, exampleLink, mirror.Topics("topic-sb", "topic-2"))
	d.table(report)
	d.say("err: %v", err)

	d.step("The same answer to another question: topic-1 is not in it, topic-sb was not\n   asked for.",
		`client.ReverseAndPause(ctx, link, mirror.Topics("topic-1", "topic-2"))`)
	pair.Local.Inject(mirrortest.Fault{Do: contracts})
	report, err = client.ReverseAndPause(ctx, exampleLink, mirror.Topics("topic-1", "topic-2"))
	d.table(report)
	d.say("err: %v", err)
	return nil
}

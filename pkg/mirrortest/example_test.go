package mirrortest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// failOver stands for a user's own code: it reverses topics, and returns those that somebody has to
// look at.
func failOver(ctx context.Context, cfg mirror.Config, link string, topics ...string) (look []string, err error) {
	client, err := mirror.NewClient(cfg)
	if err != nil {
		return nil, err
	}
	report, err := client.ReverseAndPause(ctx, link, mirror.Topics(topics...))
	if errors.Is(err, mirror.ErrOutcomeUnknown) {
		return report.Topics(mirror.Unknown), nil
	}
	return nil, err
}

// A user's failover code under test: the cluster reverses the topics, and the answer is lost.
func TestFailOver_LostAnswer(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})

	look, err := failOver(t.Context(), pair.Local.Config(), pair.Link(), "topic-1", "topic-2")

	require.NoError(t, err)
	require.Equal(t, []string{"topic-1", "topic-2"}, look)
	pair.Local.AssertSentOnce(t)
	require.Equal(t, 1, pair.Local.Applied("topic-1"))
	require.Equal(t, mirror.StatusPaused, pair.Remote.Status("topic-1"))
}

// A failover function is tested against a pair: the reversal is carried out and its answer lost.
// In a test, NewPair(t, …) closes the pair by itself, and pair.Local.AssertSentOnce(t) fails the
// test if the reversal was sent again.
func Example() {
	pair, err := mirrortest.Start(mirrortest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer pair.Close()
	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})

	look, err := failOver(context.Background(), pair.Local.Config(), pair.Link(), "topic-1", "topic-2")

	fmt.Println("look at", look, err)
	fmt.Println("reversed", pair.Local.Applied("topic-1"), "time, sent", pair.Local.Sent("topic-1"), "time")
	fmt.Println(pair.Local.Status("topic-1"), pair.Remote.Status("topic-1"))
	// Output:
	// look at [topic-1 topic-2] <nil>
	// reversed 1 time, sent 1 time
	// STOPPED PAUSED
}

// A row of the answer can be replaced, with or without its change being applied.
func ExampleRow() {
	pair, err := mirrortest.Start(mirrortest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer pair.Close()
	pair.Local.Inject(mirrortest.Fault{
		Topic: "topic-2", Do: mirrortest.Row(`{"mirror_topic_name":"topic-2","error_code":50003}`),
	})
	client, err := mirror.NewClient(pair.Local.Config())
	if err != nil {
		log.Fatal(err)
	}
	report, _ := client.ReverseAndPause(context.Background(), pair.Link(), mirror.Topics("topic-1", "topic-2"))
	fmt.Println(report)
	// Output:
	// reverse-and-pause-mirror, link "dr-link": 1 accepted, 1 failed, 0 unknown, 0 untouched
}

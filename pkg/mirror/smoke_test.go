package mirror_test

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestSmoke(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	cfg := pair.Local.Config()
	cfg.BatchSize = 1
	client, err := mirror.NewClient(cfg)
	require.NoError(t, err)
	ctx := context.Background()
	plan, err := client.Validate(ctx, mirror.VerbReverseAndPause, pair.Link(), mirror.Topics("topic-1", "topic-2"))
	require.NoError(t, err)
	_ = plan.Table(os.Stdout)
	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
	report, err := client.ReverseAndPause(ctx, pair.Link(), mirror.Topics("topic-1", "topic-2"))
	t.Log(err)
	_ = report.Table(os.Stdout)
	b, err := report.MarshalJSON()
	require.NoError(t, err)
	t.Log(string(b))
	var back mirror.Report
	require.NoError(t, back.UnmarshalJSON(b))
	require.Equal(t, report.Err().Error(), back.Err().Error())
	l, err := client.Mirrors(ctx, pair.Link())
	require.NoError(t, err)
	t.Logf("%+v", l)
	m, err := client.Mirror(ctx, pair.Link(), "topic-1")
	t.Log(m, err)
	li, err := client.Link(ctx, pair.Link())
	t.Logf("%+v %v", li, err)
	_, err = client.Promote(ctx, "nope", mirror.All())
	t.Log(err)
	report, err = client.Promote(ctx, "nope ", mirror.Topics("a", "a", "?"))
	_ = report.Table(os.Stdout)
	t.Log(err)
}

func TestGroup(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	client, err := mirror.NewClient(pair.Local.Config())
	require.NoError(t, err)
	_, err = client.ConsumerGroup(t.Context(), "nope")
	t.Log(err)
	var zero *mirror.Client
	r, err := zero.Promote(t.Context(), "x", mirror.Topics("a"))
	t.Log(r, err)
}

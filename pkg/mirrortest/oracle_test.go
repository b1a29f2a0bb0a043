package mirrortest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestOracle_Journal(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	_, err := client(t, p.Local).Validate(ctx, mirror.VerbReverseAndPause, "dr-link", mirror.Topics("topic-1"))
	require.NoError(t, err)
	p.Local.Inject(mirrortest.Fault{AfterApply: true})
	_, err = reverse(t, p.Local, "topic-2", "topic-1")
	require.Error(t, err)
	raw(t, p.Remote, "POST", "/", "hello", "Authorization", "Bearer s3cret")

	journal := append([]mirrortest.Request{}, p.Requests()...)
	require.Len(t, journal, 3)
	first, second, third := journal[0], journal[1], journal[2]
	require.Equal(t, "lkc-local", first.Cluster)
	require.Equal(t, "POST "+path(p.Local)+"?validate_only=true", first.Method+" "+first.URI)
	require.JSONEq(t, `{"mirror_topic_names":["topic-1"]}`, first.Body)
	require.Equal(t, "Basic (redacted)", first.Header.Get("Authorization"))
	require.True(t, first.ValidateOnly)
	require.Equal(t, []string{"topic-1"}, first.Topics)
	require.Empty(t, first.Applied)
	require.Equal(t, 200, first.HTTPStatus)
	require.False(t, first.At.After(second.At))
	require.Equal(t, []string{"topic-2", "topic-1"}, second.Applied)
	require.Zero(t, second.HTTPStatus, "the answer was lost")
	require.Equal(t, "lkc-remote", third.Cluster)
	require.Equal(t, 401, third.HTTPStatus)
	_, secret := p.Local.APIKey()
	require.NotContains(t, fmt.Sprint(journal), secret)
	require.NotContains(t, fmt.Sprint(journal), "s3cret")
}

// recorder is a test that only notes its failures.
type recorder struct {
	testing.TB
	errors []string
	fatal  bool
	ends   []func()
}

func (*recorder) Helper() {}

func (r *recorder) Cleanup(f func()) { r.ends = append(r.ends, f) }

func (r *recorder) Errorf(format string, a ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, a...))
}

func (r *recorder) Fatalf(format string, a ...any) { r.fatal = true; panic(fmt.Sprintf(format, a...)) }

func TestOracle_Assertions(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{Link: "dr-link"})
	require.Equal(t, "dr-link", p.Link())
	r := &recorder{}
	report, err := reverse(t, p.Local, "topic-1")
	require.NoError(t, err)
	p.Local.AssertReport(r, report)
	p.Local.AssertSentOnce(r)
	require.Empty(t, r.errors)

	_, err = reverse(t, p.Local, "topic-1")
	require.Error(t, err)
	p.Local.AssertSentOnce(r)
	require.Equal(t, []string{"mirrortest: reverse-and-pause-mirror of topic-1 was sent to lkc-local 2 times"}, r.errors)

	for _, c := range []struct {
		lie  mirror.Report
		want string
	}{
		{mirror.Report{Results: []mirror.Result{{Topic: "topic-2", Outcome: mirror.Accepted}}},
			"topic-2: the report says accepted, and the topic was not changed"},
		{mirror.Report{Results: []mirror.Result{{Topic: "nowhere", Outcome: mirror.Accepted}}},
			"nowhere: the report says accepted, and the topic was not changed"},
		{mirror.Report{Results: []mirror.Result{{Topic: "topic-1", Outcome: mirror.Untouched}}},
			"topic-1: the report says untouched, and the topic was changed"},
		{mirror.Report{DryRun: true, Results: []mirror.Result{{Topic: "topic-1"}}},
			"topic-1: the report is of a dry run, and the topic was changed"},
	} {
		r.errors = nil
		c.lie.Verb = mirror.VerbReverseAndPause
		p.Local.AssertReport(r, &c.lie)
		require.Equal(t, []string{"mirrortest: " + c.want}, r.errors)
	}
	unknown := mirror.Report{Results: []mirror.Result{{Topic: "topic-1"}, {Topic: "topic-2"}}}
	require.NoError(t, p.Local.CheckReport(&unknown), "unknown is never wrong")
}

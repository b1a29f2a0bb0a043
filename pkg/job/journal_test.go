package job_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	journal "github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

var names = []string{"a", "b", "c", "d", "e", "f"}

func newPair(t *testing.T) *mirrortest.Pair {
	t.Helper()
	var topics []mirrortest.Topic
	for _, name := range names {
		topics = append(topics, mirrortest.Topic{Name: name})
	}
	return mirrortest.NewPair(t, mirrortest.Options{Topics: topics})
}

func open(t *testing.T, path string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func report(t *testing.T, j *journal.Journal) *mirror.Report {
	t.Helper()
	r, err := j.Report()
	require.NoError(t, err)
	return r
}

func outcomes(r *mirror.Report) string {
	var all []string
	for _, res := range r.Results {
		all = append(all, res.Topic+" "+res.Outcome.String())
	}
	return strings.Join(all, ", ")
}

// run makes one call with the journal, in batches of two.
func run(t *testing.T, j *journal.Journal, c *mirrortest.Cluster, edit func(*mirror.Config), topics ...string) error {
	t.Helper()
	cfg := c.Config()
	cfg.BatchSize = 2
	if edit != nil {
		edit(&cfg)
	}
	client, err := mirror.NewClient(j.Attach(cfg))
	require.NoError(t, err)
	_, err = client.ReverseAndPause(t.Context(), "dr-link", mirror.Topics(topics...))
	return err
}

// A run that dies twice is taken up twice, and what stayed open is settled.
func TestJournal_ARunThatDiesTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "job")
	pair := newPair(t)
	dies := func(at int) func(*mirror.Config) {
		return func(c *mirror.Config) {
			c.AfterBatch = func(context.Context, mirror.Batch, *mirror.Report) error { return nil }
			middle := 0
			c.Credential = func(ctx context.Context, h http.Header) error {
				if middle++; middle == at {
					panic("the process died")
				}
				return pair.Local.Config().Credential(ctx, h)
			}
		}
	}
	j := open(t, path)
	require.Equal(t, names, report(t, j).Remaining(names...))
	require.Panics(t, func() { _ = run(t, j, pair.Local, dies(2), names...) })
	require.NoError(t, j.Close())

	j = open(t, path)
	require.False(t, j.Torn())
	known := report(t, j)
	require.Equal(
		t, "a accepted, b accepted, c untouched, d untouched", outcomes(known), "the panic was before anything was sent",
	)
	left := known.Remaining(names...)
	require.Equal(t, []string{"c", "d", "e", "f"}, left)
	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
	require.ErrorIs(t, run(t, j, pair.Local, nil, left...), mirror.ErrOutcomeUnknown)
	require.NoError(t, j.Close())

	j = open(t, path)
	known = report(t, j)
	require.Equal(t, "a accepted, b accepted, c unknown, d unknown", outcomes(known))
	require.NoError(t, run(t, j, pair.Local, nil, known.Remaining(names...)...))
	local, err := mirror.NewClient(pair.Local.Config())
	require.NoError(t, err)
	remote, err := mirror.NewClient(pair.Remote.Config())
	require.NoError(t, err)
	progress, err := local.Follow(t.Context(), report(t, j), mirror.FollowOptions{Other: remote})
	require.NoError(t, err)
	require.NoError(t, j.Settle(progress.Report()))
	require.NoError(t, report(t, j).Err())
	require.NoError(t, j.Finish())
	require.NoError(t, j.Finish(), "again does nothing")
	require.ErrorIs(t, run(t, j, pair.Local, nil, "a"), journal.ErrFinished)
	require.NoError(t, j.Close())
	pair.Local.AssertSentOnce(t)
	for _, name := range names {
		require.Equal(t, 1, pair.Local.Applied(name))
	}

	_, err = journal.Open(path)
	require.ErrorIs(t, err, journal.ErrFinished)
	require.ErrorContains(t, err, path)
	finished, err := journal.Read(path)
	require.NoError(t, err)
	require.NoError(t, finished.Err())
	require.Equal(t, names, finished.Topics(mirror.Accepted))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	_, secret := pair.Local.APIKey()
	require.NotContains(t, string(text), secret)
	if runtime.GOOS != "windows" {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
}

// The order is the user's BeforeBatch, the line, the request, the line, the user's AfterBatch.
func TestJournal_OrderOfTheHooks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "job")
	pair := newPair(t)
	j := open(t, path)
	var seen []string
	see := func(what string) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		seen = append(seen, fmt.Sprintf("%s: %d sending, %d answered, %d requests", what,
			strings.Count(string(text), `"sending"`), strings.Count(string(text), `"answered"`), len(pair.Journal())))
	}
	require.NoError(t, run(t, j, pair.Local, func(c *mirror.Config) {
		c.BeforeBatch = func(context.Context, mirror.Batch) error { see("before"); return nil }
		c.AfterBatch = func(context.Context, mirror.Batch, *mirror.Report) error { see("after"); return nil }
	}, "a", "b"))
	require.Equal(
		t, []string{"before: 0 sending, 0 answered, 0 requests", "after: 1 sending, 1 answered, 1 requests"}, seen,
	)

	no := errors.New("no")
	err := run(t, j, pair.Local, func(c *mirror.Config) {
		c.BeforeBatch = func(context.Context, mirror.Batch) error { return no }
	}, "c")
	require.ErrorIs(t, err, no)
	require.Equal(t, "a accepted, b accepted", outcomes(report(t, j)), "what is refused by the hook is not written")
	err = run(t, j, pair.Local, func(c *mirror.Config) {
		c.AfterBatch = func(context.Context, mirror.Batch, *mirror.Report) error { return no }
	}, "c")
	require.ErrorIs(t, err, no)
	require.Equal(t, "a accepted, b accepted, c accepted", outcomes(report(t, j)))
}

// One file is one job, and dry runs are no part of it.
func TestJournal_OneFileIsOneJob(t *testing.T) {
	pair := newPair(t)
	j := open(t, filepath.Join(t.TempDir(), "job"))
	require.ErrorContains(t, j.Finish(), "has no job to finish")
	client, err := mirror.NewClient(j.Attach(pair.Local.Config()))
	require.NoError(t, err)
	_, err = client.Validate(t.Context(), mirror.VerbPromote, "dr-link", mirror.Topics("a"))
	require.NoError(t, err)
	require.NoError(t, run(t, j, pair.Local, nil, "a"))
	_, err = client.Promote(t.Context(), "dr-link", mirror.Topics("b"))
	require.ErrorIs(t, err, journal.ErrAnotherJob)
	require.ErrorContains(
		t, err, `is of reverse-and-pause-mirror on link "dr-link" of cluster "lkc-local", not of promote`,
	)
	_, err = client.ReverseAndPause(t.Context(), "other", mirror.Topics("b"))
	require.ErrorContains(t, err, `not of reverse-and-pause-mirror on link "other"`)
	require.ErrorContains(t, run(t, j, pair.Remote, nil, "b"), `of cluster "lkc-remote"`)
	require.Zero(t, pair.Local.Requests("b")+pair.Remote.Requests("b"))
	require.Equal(t, "a accepted", outcomes(report(t, j)))

	require.ErrorIs(t, j.Settle(nil), journal.ErrAnotherJob)
	require.ErrorIs(t, j.Settle(&mirror.Report{Verb: mirror.VerbPromote}), journal.ErrAnotherJob)
	require.NoError(t, j.Settle(report(t, j)), "nothing is settled in it")
}

// What one call by pattern may have changed is not sent again, and a second pattern would be another job.
func TestJournal_ACallByPattern(t *testing.T) {
	pair := newPair(t)
	path := filepath.Join(t.TempDir(), "job")
	j := open(t, path)
	client, err := mirror.NewClient(j.Attach(pair.Local.Config()))
	require.NoError(t, err)
	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
	_, err = client.ReverseAndPause(t.Context(), "dr-link", mirror.Pattern("^[ab]$"))
	require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
	_, err = client.ReverseAndPause(t.Context(), "dr-link", mirror.Pattern("^[cd]$"))
	require.ErrorIs(t, err, journal.ErrAnotherJob)
	require.ErrorContains(t, err, `is of pattern "^[ab]$", not of "^[cd]$"`)
	require.Zero(t, pair.Local.Requests("c"))
	require.NoError(t, j.Close())

	known := report(t, open(t, path))
	require.Equal(t, mirror.UnaccountedUnknown, known.Unaccounted)
	require.Empty(t, known.Remaining(names...), "any of them may have been changed")
}

// A second opening of the same file is refused while the first lasts.
func TestJournal_IsForOneAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "job")
	j := open(t, path)
	_, err := journal.Open(path)
	require.ErrorIs(t, err, journal.ErrInUse)
	require.ErrorContains(t, err, path)
	require.NoError(t, run(t, j, newPair(t).Local, nil, "a", "b"))
	if runtime.GOOS != "windows" { // where nobody else may open it
		known, err := journal.Read(path)
		require.NoError(t, err)
		require.Equal(t, []string{"a", "b"}, known.Topics(mirror.Accepted))
	}
	require.NoError(t, j.Close())
	require.ErrorIs(t, run(t, j, newPair(t).Local, nil, "a"), os.ErrClosed)
	again := open(t, path)
	require.NoError(t, again.Close())
	_, err = journal.Open(filepath.Join(path, "no-folder"))
	require.Error(t, err)
}

// Whatever a kill or a full disk leaves at the end is dropped and said; other damage is an error that names
// the line.
func TestJournal_DamageIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "job")
	pair := newPair(t)
	j := open(t, path)
	require.NoError(t, run(t, j, pair.Local, nil, names...))
	require.NoError(t, j.Close())
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.SplitAfter(string(whole), "\n")
	require.Len(t, lines, 1+2*3+1)

	for cut := 0; cut < len(whole); cut += 7 {
		require.NoError(t, os.WriteFile(path, whole[:cut], 0o600))
		j := open(t, path)
		kept, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, len(kept) == 0 || strings.HasSuffix(string(kept), "\n"))
		require.Equal(t, len(kept) < cut, j.Torn())
		known := report(t, j)
		for _, name := range names { // nothing is said not to have been sent that was written down
			res, found := known.Result(name)
			written := strings.Contains(string(kept), `"topics":["`+name) || strings.Contains(string(kept), `,"`+name+`"]`)
			require.Equal(t, written, found && res.Outcome != mirror.Untouched, name)
		}
		require.NoError(t, j.Close())
	}
	for name, c := range map[string]struct{ text, want string }{
		"a line that is no JSON":  {lines[0] + "x\n" + lines[1], "line 2 is damaged"},
		"the version of tomorrow": {strings.Replace(string(whole), `"version":1`, `"version":2`, 1), "line 1 has version 2"},
		"a file of somebody else": {"a shopping list", "line 1 is damaged: it does not begin as a journal does"},
		"a report, not a journal": {`{"version":3,"verb":"promote"}`, "line 1 is damaged: it does not begin"},
		"no job":                  {lines[1], "line 1: the job is not said"},
		"half a job":              {`{"version":1,"job":{"link":"dr-link"}}` + "\n", "line 1: the job lacks"},
		"a batch of another job": {
			lines[0] + strings.Replace(lines[1], "dr-link", "other", 1), "line 2: it is about another job",
		},
		"an answer of another job": {
			lines[0] + lines[1] + strings.Replace(lines[2], "dr-link", "other", 1), "line 3: it is about another job",
		},
		"a finding of another job": {
			lines[0] + `{"version":1,"settled":{"version":3,"verb":"pause","results":[]}}` + "\n",
			"line 2: it is about another job",
		},
		"a second job":         {lines[0] + lines[0], "line 2: there is a second job"},
		"an answer to nothing": {lines[0] + lines[2], "line 2: it answers a batch that was not sent"},
		"an answer twice": {
			lines[0] + lines[1] + lines[2] + lines[2], "line 4: it answers a batch that was not sent",
		},
		"a line that says nothing": {lines[0] + `{"version":1}` + "\n", "line 2: it says nothing"},
		"something after the end": {
			lines[0] + `{"version":1,"finished":true}` + "\n" + lines[1], "line 3: there is something after the end",
		},
	} {
		require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
		_, err := journal.Open(path)
		require.ErrorContains(t, err, c.want, name)
		require.ErrorContains(t, err, path)
		_, err = journal.Read(path)
		require.ErrorContains(t, err, c.want, name)
		left, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, c.text, string(left), "damage is left as it is")
	}
}

// Reading back takes time in proportion to the topics.
func BenchmarkReport(b *testing.B) {
	for _, topics := range []int{10_000, 50_000, 200_000} {
		b.Run(fmt.Sprintf("topics=%d", topics), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "job")
			write(b, path, topics)
			for b.Loop() {
				j, err := journal.Open(path)
				require.NoError(b, err)
				r, err := j.Report()
				require.NoError(b, err)
				require.Len(b, r.Results, topics)
				require.NoError(b, j.Close())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*topics), "ns/topic")
		})
	}
}

// write makes the journal of a job of so many topics, by a real run.
func write(b *testing.B, path string, topics int) {
	b.Helper()
	var all []mirrortest.Topic
	var names []string
	for i := range topics {
		names = append(names, fmt.Sprintf("team.orders.%06d", i))
		all = append(all, mirrortest.Topic{Name: names[i], Partitions: []mirrortest.Partition{{}}})
	}
	pair, err := mirrortest.Start(mirrortest.Options{Topics: all})
	require.NoError(b, err)
	defer pair.Close()
	j, err := journal.Open(path)
	require.NoError(b, err)
	client, err := mirror.NewClient(j.Attach(pair.Local.Config()))
	require.NoError(b, err)
	_, err = client.ReverseAndPause(context.Background(), pair.Link(), mirror.Topics(names...))
	require.NoError(b, err)
	require.NoError(b, j.Close())
}

// A run that is killed twice, in 30 lines: what is known is read, what remains is sent, and following settles
// what stayed open.
func Example() {
	pair, folder := twoClusters()
	defer pair.Close()
	defer os.RemoveAll(folder)
	job := func(ctx context.Context, topics ...string) error {
		j, err := journal.Open(filepath.Join(folder, "failover.journal"))
		if err != nil {
			return err
		}
		defer j.Close()
		local, err := mirror.NewClient(j.Attach(pair.Local.Config()))
		if err != nil {
			return err
		}
		remote, err := mirror.NewClient(pair.Remote.Config())
		if err != nil {
			return err
		}
		known, err := j.Report()
		if err != nil {
			return err
		}
		if left := known.Remaining(topics...); len(left) > 0 {
			if _, err := local.ReverseAndPause(ctx, "dr-link", mirror.Topics(left...)); err != nil {
				return err // run it again
			}
		}
		if known, err = j.Report(); err != nil {
			return err
		}
		progress, err := local.Follow(ctx, known, mirror.FollowOptions{Other: remote})
		if err := errors.Join(err, j.Settle(progress.Report())); err != nil {
			return err
		}
		return j.Finish()
	}
	for range 3 {
		err := job(context.Background(), "orders", "refunds", "payments")
		fmt.Println(err == nil, errors.Is(err, mirror.ErrOutcomeUnknown), errors.Is(err, journal.ErrFinished))
	}
	// Output:
	// false true false
	// true false false
	// false false true
}

// twoClusters are clusters for the example, whose first answer is lost, and a folder to work in.
func twoClusters() (*mirrortest.Pair, string) {
	pair, err := mirrortest.Start(mirrortest.Options{Topics: []mirrortest.Topic{
		{Name: "orders"}, {Name: "refunds"}, {Name: "payments"},
	}})
	if err != nil {
		panic(err)
	}
	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
	folder, err := os.MkdirTemp("", "journal")
	if err != nil {
		panic(err)
	}
	return pair, folder
}

package job

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

var update = flag.Bool("update", false, "write the golden files")

// plan is a plan of topics, made without a server.
func plan(verb mirror.Verb, topics ...string) *mirror.Report {
	r := mirror.UnknownReport(mirror.Batch{ClusterID: "lkc-1", Link: "dr-link", Verb: verb, Run: "plan", Topics: topics},
		time.Now().UTC())
	r.DryRun = true
	accept(r)
	return r
}

func accept(r *mirror.Report) {
	for i := range r.Results {
		r.Results[i].Outcome, r.Results[i].Why, r.Results[i].Sends = mirror.Accepted, "", nil
	}
}

func outcomes(r *mirror.Report) string {
	var all []string
	for _, res := range r.Results {
		all = append(all, res.Topic+" "+res.Outcome.String())
	}
	return strings.Join(all, ", ")
}

// written returns the lines of a job: a batch that was answered, a settlement, and a batch without an answer.
func written(t *testing.T, verb mirror.Verb) [][]byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "job")
	j, err := Create(path, plan(verb, "a", "b", "c", "d", "e", "f"), Options{})
	require.NoError(t, err)
	r := (*recorder)(j)
	batch := func(n int, topics ...string) mirror.Batch {
		return mirror.Batch{ClusterID: "lkc-1", Link: "dr-link", Verb: verb, Run: "run", Index: n, Of: 3, Topics: topics}
	}
	first, second, third := batch(0, "a", "b"), batch(1, "c", "d"), batch(2, "e", "f")
	require.NoError(t, r.Sending(t.Context(), first))
	answer := mirror.UnknownReport(first, time.Now())
	accept(answer)
	require.NoError(t, r.Answered(t.Context(), first, answer))
	require.NoError(t, r.Sending(t.Context(), second))
	require.NoError(t, r.Answered(t.Context(), second, mirror.UnknownReport(second, time.Now())))
	require.NoError(t, j.Settle(mirror.Accepted, "seen STOPPED", "c"))
	require.NoError(t, r.Sending(t.Context(), third))
	require.NoError(t, j.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return bytes.SplitAfter(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
}

// A power loss keeps any part of the last line, also as NULs, and nothing less of the lines before it.
func TestOpen_AfterAPowerLoss(t *testing.T) {
	for _, verb := range []mirror.Verb{mirror.VerbPromote, mirror.VerbTruncateAndRestore} {
		lines := written(t, verb)
		require.Len(t, lines, 7)
		path := filepath.Join(t.TempDir(), "job")
		open := func(text []byte) *Job {
			require.NoError(t, os.WriteFile(path, text, 0o600))
			j, err := Open(path)
			require.NoError(t, err)
			return j
		}
		for n := 2; n <= len(lines); n++ {
			last := append(bytes.TrimSuffix(bytes.Clone(lines[n-1]), []byte("\n")), '\n')
			before := bytes.Join(lines[:n-1], nil)
			j := open(before)
			without, left := outcomes(j.Report()), j.Remaining()
			require.Empty(t, j.Dropped())
			require.NoError(t, j.Close())
			j = open(append(bytes.Clone(before), last...))
			whole := outcomes(j.Report())
			require.NoError(t, j.Close())

			size := len(last)
			for cut := 1; cut < size; cut += max(1, size/3) {
				nuls := make([]byte, size)
				middle := append(append(bytes.Clone(last[:cut/2]), nuls[cut/2:cut]...), last[cut:]...)
				for what, kept := range map[string][]byte{
					"its beginning":               last[:cut],
					"its beginning, then NULs":    append(bytes.Clone(last[:cut]), nuls[cut:]...),
					"its beginning, NULs, its LF": append(append(bytes.Clone(last[:cut]), nuls[cut:size-1]...), '\n'),
					"NULs, then its end":          append(bytes.Clone(nuls[:cut]), last[cut:]...),
					"NULs in its middle":          middle,
				} {
					if bytes.Equal(kept, last) || len(kept) == size-1 {
						continue
					}
					j := open(append(bytes.Clone(before), kept...))
					require.Equal(t, without, outcomes(j.Report()), what)
					require.Contains(t, j.Dropped(), fmt.Sprintf("line %d ", n))
					mayBeBatch := lines[n-2] != nil && !bytes.Contains(lines[n-2], []byte(`"kind":"sending"`))
					if verb == mirror.VerbTruncateAndRestore && mayBeBatch {
						require.True(t, j.Finished())
						require.Empty(t, j.Remaining())
					} else {
						require.Equal(t, left, j.Remaining())
					}
					finished := j.Finished()
					require.NoError(t, j.Close())
					j, err := Open(path)
					require.NoError(t, err)
					require.Empty(t, j.Dropped())
					require.Equal(t, without, outcomes(j.Report()), what)
					require.Equal(t, finished, j.Finished())
					require.NoError(t, j.Close())
				}
			}

			j = open(append(bytes.Clone(before), last[:size-1]...))
			require.Equal(t, whole, outcomes(j.Report()), "a whole line without its line feed is kept")
			require.Empty(t, j.Dropped())
			require.NoError(t, j.Abandon("to write one more line"))
			require.NoError(t, j.Close())
			j, err := Open(path)
			require.NoError(t, err)
			require.True(t, j.Finished())
			require.NoError(t, j.Close())
		}
	}
}

func TestRead_DropsADamagedLineAndWritesNothing(t *testing.T) {
	lines := written(t, mirror.VerbPromote)
	path := filepath.Join(t.TempDir(), "job")
	text := append(bytes.Join(lines[:6], nil), "cut of"...)
	require.NoError(t, os.WriteFile(path, text, 0o600))
	j, err := Read(path)
	require.NoError(t, err)
	require.Contains(t, j.Dropped(), "line 7 ")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, text, after)
}

// A line that may not stand where it stands is an error that names the line, and is never written.
func TestCheck_LineMayNotFollow(t *testing.T) {
	const verb = mirror.VerbTruncateAndRestore
	lines := written(t, verb)
	var decoded []*line
	for _, text := range lines {
		l, err := decode(text)
		require.NoError(t, err)
		decoded = append(decoded, l)
	}
	edit := func(n int, f func(l *line)) *line {
		text, err := decoded[n].encode()
		require.NoError(t, err)
		l, err := decode(text)
		require.NoError(t, err)
		f(l)
		return l
	}
	nothing := func(*line) {}
	for what, c := range map[string]struct {
		before int // lines
		line   *line
		want   error
	}{
		"a first line that is a batch":       {0, edit(1, nothing), nil},
		"a first line that is an end":        {0, &line{Kind: isFinished}, nil},
		"the version of tomorrow":            {0, edit(0, func(l *line) { l.Version = 2 }), nil},
		"a second plan":                      {1, edit(0, nothing), nil},
		"a kind of tomorrow":                 {1, &line{Kind: "tomorrow"}, nil},
		"a kind without its report":          {1, &line{Kind: isFound}, nil},
		"two things: a batch and an answer":  {1, edit(2, func(l *line) { l.Kind = isSending }), nil},
		"two things: an end and a report":    {1, edit(5, func(l *line) { l.Kind = isFinished }), nil},
		"a batch of another cluster":         {1, edit(1, func(l *line) { l.Batch.ClusterID = "lkc-2" }), ErrAnotherJob},
		"a batch of another link":            {1, edit(1, func(l *line) { l.Batch.Link = "other" }), ErrAnotherJob},
		"a batch of another verb":            {1, edit(1, func(l *line) { l.Batch.Verb = mirror.VerbPause }), ErrAnotherJob},
		"a batch of a topic not in the plan": {1, edit(1, func(l *line) { l.Batch.Topics[1] = "x" }), ErrAnotherJob},
		"a batch begun twice":                {2, edit(1, nothing), nil},
		"a batch begun twice, answered":      {3, edit(1, func(l *line) { l.Batch.Topics = []string{"e"} }), nil},
		"a topic restored twice":             {2, edit(3, func(l *line) { l.Batch.Topics = []string{"c", "a"} }), nil},
		"an answer to no batch":              {1, edit(2, nothing), nil},
		"an answer to another batch":         {2, edit(2, func(l *line) { l.Batch.Index = 7 }), nil},
		"a second answer":                    {3, edit(2, nothing), nil},
		"an answer about other topics":       {2, edit(2, func(l *line) { l.Report.Results[1].Topic = "c" }), nil},
		"an answer about one topic less":     {2, edit(2, func(l *line) { l.Report.Results = l.Report.Results[:1] }), nil},
		"an answer of another verb":          {2, edit(2, func(l *line) { l.Report.Verb = mirror.VerbPause }), ErrAnotherJob},
		"a settlement of another job":        {5, edit(5, func(l *line) { l.Report.Link = "other" }), ErrAnotherJob},
		"a settlement of another topic":      {5, edit(5, func(l *line) { l.Report.Results[0].Topic = "x" }), ErrAnotherJob},
	} {
		path := filepath.Join(t.TempDir(), "job")
		text, err := c.line.encode()
		require.NoError(t, err)
		for _, after := range []string{"", string(lines[0])} { // at the end, and not
			require.NoError(t, os.WriteFile(path, []byte(string(bytes.Join(lines[:c.before], nil))+string(text)+after), 0o600))
			_, err = Open(path)
			require.ErrorContains(t, err, fmt.Sprintf("line %d", c.before+1), what)
			_, err = Read(path)
			require.ErrorContains(t, err, fmt.Sprintf("line %d", c.before+1), what)
		}
		if c.before == 0 {
			continue
		}
		before := bytes.Join(lines[:c.before], nil)
		require.NoError(t, os.WriteFile(path, before, 0o600))
		j, err := Open(path)
		require.NoError(t, err)
		err = j.record(c.line)
		require.Error(t, err, what)
		if c.want != nil {
			require.ErrorIs(t, err, c.want, what)
		}
		require.NoError(t, j.Close())
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(before), string(after), what)
	}
}

func TestOpen_LineSaysOneThing(t *testing.T) {
	first := written(t, mirror.VerbPromote)[0]
	path := filepath.Join(t.TempDir(), "job")
	for _, text := range []string{
		`{"at":"2026-01-01T00:00:00Z","kind":"finished","kind":"sending"}`,
		`{"at":"2026-01-01T00:00:00Z","kind":"finished","sending":{"topics":["a"]}}`,
		`{"at":"2026-01-01T00:00:00Z","kind":"finished"} {"kind":"finished"}`,
		`finished`,
	} {
		summed := fmt.Sprintf("%08x %s\n", crc32.Checksum([]byte(text), castagnoli), text)
		require.NoError(t, os.WriteFile(path, []byte(string(first)+summed), 0o600))
		_, err := Open(path)
		require.ErrorContains(t, err, "line 2 cannot be read", text)
	}
}

func TestOpen_OtherDamageNamesTheLine(t *testing.T) {
	lines := written(t, mirror.VerbPromote)
	path := filepath.Join(t.TempDir(), "job")
	for n := range lines[:6] {
		for what, damage := range map[string]func([]byte){
			"a letter": func(b []byte) { b[len(b)/2] ^= 1 },
			"NULs":     func(b []byte) { clear(b[len(b)/2 : len(b)-5]) },
			"a sum":    func(b []byte) { b[0] ^= 1 },
		} {
			damaged := bytes.Clone(lines[n])
			damage(damaged)
			text := string(bytes.Join(lines[:n], nil)) + string(damaged) + string(bytes.Join(lines[n+1:], nil))
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			_, err := Open(path)
			require.ErrorContains(t, err, fmt.Sprintf("line %d is damaged", n+1), what)
			require.ErrorContains(t, err, path)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, text, string(after))
		}
	}
}

// fullDisk is a file on a disk that is full from the n-th write on, or whose n-th sync fails. A write that fails
// leaves half of its bytes.
type fullDisk struct {
	file
	writes, syncs       int
	failWrite, failSync int
	forever             bool
}

func (d *fullDisk) WriteAt(p []byte, at int64) (int, error) {
	if d.writes++; d.writes == d.failWrite || d.forever && d.failWrite > 0 && d.writes > d.failWrite {
		n, _ := d.file.WriteAt(p[:len(p)/2], at)
		return n, syscall.ENOSPC
	}
	return d.file.WriteAt(p, at)
}

func (d *fullDisk) Sync() error {
	if d.syncs++; d.syncs == d.failSync || d.forever && d.failSync > 0 && d.syncs > d.failSync {
		return syscall.EIO
	}
	return d.file.Sync()
}

// Whatever write or sync fails, the run ends before a batch that is not on disk, no topic that was sent is forgotten,
// and the job can be taken up.
func TestRun_OnADiskThatFails(t *testing.T) {
	names := []string{"a", "b", "c"}
	o := mirrortest.Options{InMemory: true}
	for _, name := range names {
		o.Topics = append(o.Topics, mirrortest.Topic{Name: name})
	}
	for n := 1; n <= 7; n++ {
		for _, d := range []fullDisk{
			{failWrite: n}, {failWrite: n, forever: true}, {failSync: n}, {failSync: n, forever: true},
		} {
			what := fmt.Sprintf("write %d sync %d forever %v", d.failWrite, d.failSync, d.forever)
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "job")
				pair := mirrortest.NewPair(t, o)
				cfg := pair.Local.Config()
				cfg.BatchSize = 1
				client, err := mirror.NewClient(cfg)
				require.NoError(t, err)
				plan, err := client.Validate(t.Context(), mirror.VerbPromote, pair.Link(), mirror.Topics(names...))
				require.NoError(t, err)
				j, err := Create(path, plan, Options{})
				require.NoError(t, err)
				d.file = j.file
				j.file = &d
				report, err := j.Run(t.Context(), client)
				if n <= 6 { // two lines for each batch
					require.ErrorContains(t, err, path, what)
				} else {
					require.NoError(t, err, what)
				}
				require.NoError(t, j.Close())

				j, err = Open(path)
				require.NoError(t, err, what)
				for _, name := range names {
					sent := pair.Local.Sent(name) > 0
					inCall, _ := report.Result(name)
					require.Equal(t, sent, inCall.Outcome == mirror.Accepted, what)
					known, _ := j.Report().Result(name)
					require.False(t, sent && known.Outcome == mirror.Untouched, "%s: %s was sent, and is forgotten", what, name)
				}
				_, _ = j.Run(t.Context(), client)
				require.NoError(t, j.Close())
				pair.Local.AssertSentOnce(t)
				for _, name := range names {
					require.Equal(t, 1, pair.Local.Applied(name), what)
				}
			})
		}
	}
}

// The file of testdata can be read by every later version: it is written anew only with a new version.
func TestFile_Format(t *testing.T) {
	const path = "testdata/v1.job"
	if *update {
		synctest.Test(t, func(t *testing.T) {
			lines := written(t, mirror.VerbReverseAndPause)
			end, err := (&line{At: time.Now().UTC(), Kind: isFinished, Why: "the rest is another job"}).encode()
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, append(bytes.Join(lines, nil), append([]byte("\n"), end...)...), 0o600))
		})
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	n := 0
	for one := range bytes.Lines(text) {
		l, err := decode(one)
		require.NoError(t, err)
		again, err := l.encode()
		require.NoError(t, err)
		require.Equal(t, string(one), string(again))
		n++
	}
	require.Equal(t, 8, n)
	j, err := Read(path)
	require.NoError(t, err)
	require.Equal(
		t, "a accepted, b accepted, c accepted, d unknown, e unknown, f unknown", outcomes(j.Report()),
	)
	require.True(t, j.Finished())
}

// Reading back takes time in proportion to the number of topics.
func BenchmarkRead(b *testing.B) {
	for _, topics := range []int{10_000, 200_000} {
		b.Run(fmt.Sprint(topics), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "job")
			var names []string
			for i := range topics {
				names = append(names, fmt.Sprintf("team.orders.%06d", i))
			}
			j, err := Create(path, plan(mirror.VerbPromote, names...), Options{})
			require.NoError(b, err)
			for i := 0; i < topics; i += 500 {
				batch := mirror.Batch{
					ClusterID: "lkc-1", Link: "dr-link", Verb: mirror.VerbPromote, Run: "run", Index: i / 500, Topics: names[i : i+500],
				}
				report := mirror.UnknownReport(batch, time.Now())
				accept(report)
				require.NoError(b, (*recorder)(j).Sending(context.Background(), batch))
				require.NoError(b, (*recorder)(j).Answered(context.Background(), batch, report))
			}
			require.NoError(b, j.Close())
			for b.Loop() {
				j, err := Read(path)
				require.NoError(b, err)
				require.Equal(b, topics, j.Report().Count(mirror.Accepted))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(topics), "ns/topic")
		})
	}
}

package mirror_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// The words of a report stand in golden files, once for each form: go test -update writes them anew.
func TestGolden_AReportInEachForm(t *testing.T) {
	r := sample()
	dry := sample()
	dry.DryRun, dry.Unexpected, dry.Problems = true, nil, nil
	for name, r := range map[string]*mirror.Report{"report": r, "dryrun": dry} {
		golden(t, name+".table.txt", table(t, r))
		var text bytes.Buffer
		require.NoError(t, json.Indent(&text, []byte(marshal(t, r)), "", "  "))
		golden(t, name+".json", text.String()+"\n")
		golden(t, name+".error.txt", strings.ReplaceAll(fmt.Sprintf("%v\n%v\n", r.Err(), errors.Join(causes(r.Err())...)), "; ", ";\n  "))
	}
}

// The first line of the table and the report in one line, of reports that differ in what they come to.
func TestGolden_DecisionsAndLines(t *testing.T) {
	accepted := mirror.Result{Topic: "a", Outcome: mirror.Accepted, MessagesTruncated: -1}
	done, failed := accepted, mirror.Result{Topic: "b", Outcome: mirror.Failed, Code: 400, Message: "no", MessagesTruncated: -1}
	done.Settled, done.Done = "seen", true
	results := func(r ...mirror.Result) mirror.Report { return mirror.Report{Link: "dr-link", Results: r} }
	var lines strings.Builder
	say := func(r mirror.Report) {
		first, _, _ := strings.Cut(table(t, &r), "\n")
		fmt.Fprintf(&lines, "%s\n    %v\n", first, r)
	}
	for _, v := range append(allVerbs, "unknown-verb", "") {
		r := results(accepted)
		r.Verb = v
		say(r)
		r = results(accepted, failed)
		r.Verb = v
		say(r)
	}
	r := results(done, done)
	r.Verb = mirror.VerbPromote
	say(r)
	r = results(accepted)
	r.Verb, r.DryRun = mirror.VerbPromote, true
	say(r)
	r = results(accepted, failed)
	r.Verb, r.DryRun = mirror.VerbPromote, true
	say(r)
	r = results(accepted)
	r.Verb, r.Problems = mirror.VerbPromote, []string{"the answer goes on elsewhere"}
	say(r)
	r = results(accepted)
	r.Verb, r.Unexpected = mirror.VerbPromote, []mirror.Result{{Topic: "z", Notes: []string{"not asked for"}}}
	say(r)
	r = results(failed)
	r.Verb, r.Pattern, r.Lost = mirror.VerbFailover, `^(?:b.*)$`, true
	say(r)
	say(mirror.Report{Verb: mirror.VerbPromote, Pattern: "x.*"})
	say(mirror.Report{})
	for _, s := range []fmt.Stringer{
		mirror.LagSummary{}, mirror.LagSummary{Without: []string{"a"}, NotKnown: 1},
		mirror.LagSummary{Total: 7, Partitions: 3, Largest: 5, Topic: "a", Partition: 2, NeverFetched: 1, NotKnown: 1, Without: []string{"b"}},
		mirror.TruncationSummary{}, mirror.TruncationSummary{Messages: 3, Partitions: 2, Topics: 1},
		mirror.TruncationSummary{Reported: 9, ReportedTopics: 2, Messages: 3, Partitions: 2, Topics: 1},
	} {
		fmt.Fprintf(&lines, "%T: %v\n", s, s)
	}
	golden(t, "lines.txt", lines.String())
}

// A table of many topics stays short: those with the same reason are one line, which names the first of them.
func TestGolden_TheTableOfALargeRun(t *testing.T) {
	names := manyTopics(1200)
	o := mirrortest.Options{InMemory: true}
	for i, name := range names {
		topic := mirrortest.Topic{Name: name, Partitions: []mirrortest.Partition{{Lag: int64(i % 2), LastSourceFetchOffset: 3}}}
		if i%100 == 99 {
			topic.Status = mirror.StatusStopped
		}
		o.Topics = append(o.Topics, topic)
	}
	pair := mirrortest.NewPair(t, o)
	pair.Local.Inject(mirrortest.Fault{Nth: 2, AfterApply: true, Do: mirrortest.Cut(0)})
	report, err := reverseOn(t, newClient(t, pair.Local.Config()), pair.Link(), names...)
	require.Error(t, err)
	golden(t, "large.table.txt", table(t, report))
}

// The decision is in the verb's words, and says what is not so.
func TestTable_TheDecisionNamesWhatIsWrong(t *testing.T) {
	first := func(body string, s mirror.Selection) string {
		report, _ := newClient(t, offline(answering(body))).Failover(t.Context(), "link", s)
		line, _, _ := strings.Cut(table(t, report), "\n")
		return line
	}
	a := mirror.Topics("a")
	require.Contains(t, first(rows(good("a"), good("z")), a), "1 unexpected row")
	require.Contains(t, first(rows(good("a"))+"x", a), "could not be read to its end")
	require.Contains(t, first(rows(failed("p-a", "400", "no"), good("p-b"))+"x", mirror.Prefix("p-")), "1 failed")
	require.Contains(t, first(`{"errors":[{}],"data":[`+good("a")+`]}`, a), "an error beside its rows")
	require.NotContains(t, first(rows(good("a")), a), "do not")
}

// What a server or a file says is printable in a table and on a line, whatever it is.
func TestTable_IsPrintable(t *testing.T) {
	evil := "\x1b[2J\nx\u202e"
	r := &mirror.Report{
		Verb: mirror.Verb(evil), ClusterID: evil, Link: evil, Pattern: evil, Problems: []string{evil},
		Results: []mirror.Result{
			{Topic: evil, Outcome: mirror.Failed, Message: evil, Notes: []string{evil}}, {Topic: "b", Why: evil},
			{Topic: "c", Outcome: mirror.Accepted, Settled: evil, Lags: []mirror.PartitionLag{{Lag: 5}}},
		},
		Unexpected: []mirror.Result{{Topic: evil, Notes: []string{evil}}},
	}
	for _, form := range []string{table(t, r), r.String(), logged(r)} {
		require.NotContains(t, form, "\x1b")
		require.NotContains(t, form, "\u202e")
	}
	require.NotContains(t, r.String(), "\n")
}

func TestTable_ALineSaysOfHowManyTopicsTheLagIsKnown(t *testing.T) {
	a := mirror.Result{Topic: "a", Outcome: mirror.Failed, Code: 5, Lags: []mirror.PartitionLag{{Lag: 7}}}
	b := mirror.Result{Topic: "b", Outcome: mirror.Failed, Code: 5}
	require.Regexp(t, `failed +a, b +7 of 1 topic +code 5`, table(t, &mirror.Report{Results: []mirror.Result{a, b}}))
}

var errFull = errors.New("disk full")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errFull }

func TestTable_ItsErrorIsTheWriters(t *testing.T) {
	require.ErrorIs(t, sample().Table(failingWriter{}), errFull)
}

func TestDryRun_IsSaidInEveryForm(t *testing.T) {
	const says = "dry run: nothing was changed"
	report, err := newClient(t, offline(answering(rows(good("a"))))).
		Validate(t.Context(), mirror.VerbReverseAndPause, "link", mirror.Topics("a", "b"))
	require.True(t, report.DryRun)
	for _, form := range []string{report.String(), err.Error(), table(t, report), marshal(t, report), logged(report)} {
		require.Contains(t, form, says)
	}
	require.NotContains(t, table(t, report), "is done when")
}

func TestLogValue(t *testing.T) {
	var report *mirror.Report
	var listing *mirror.Listing
	require.Contains(t, logged(report), `v=<nil>`)
	require.Contains(t, logged(listing), `v=<nil>`)
	log := logged(sample())
	for _, want := range []string{"v.verb=reverse-and-pause-mirror", "v.link=dr-link", "v.accepted=2", "v.unknown=1", "v.unexpected=1"} {
		require.Contains(t, log, want)
	}
	require.NotContains(t, log, "stopped", "counts, not topics")
	require.Contains(t, logged(&mirror.Listing{Link: "l", Mirrors: make([]mirror.Mirror, 3), Complete: true}), "v.mirrors=3")
	require.Equal(t, slog.KindGroup, (&mirror.Listing{}).LogValue().Kind())
}

// Read aloud: what to do with topics that were found untouched, and each reason once.
func TestReport_TableSaysEachThingOnce(t *testing.T) {
	unavailable := newClient(t, offline(responding(http.StatusServiceUnavailable, "text/html", "<title>503 Service Unavailable</title>")))
	report, err := reverse(t, unavailable, "a", "b")
	require.Error(t, err)
	require.Equal(t, "HTTP 503 Service Unavailable", report.Results[0].Why)
	require.NoError(t, report.Settle(mirror.Untouched, "still ACTIVE", "b"))
	require.NoError(t, report.Settle(mirror.Accepted, "STOPPED here, PAUSED there", "a"))
	require.Contains(t, table(t, report), "send it again")
	require.Contains(t, table(t, report), "found done; the first: a: STOPPED")

	twice := newClient(t, offline(responding(http.StatusOK, "application/json", rows(failed("a", "400", "no")), "X-Envoy-Attempt-Count", "2")))
	report, err = reverse(t, twice, "a")
	require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
	require.Equal(t, 1, strings.Count(table(t, report), "more than once"))

	zipped := newClient(t, offline(responding(http.StatusOK, "application/json", "x", "Content-Encoding", "gzip")))
	report, err = reverse(t, zipped, "a")
	require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
	require.NotContains(t, report.Results[0].Why, "the answer is application/json, not")
}

package mirror_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// listed is a row of a list.
func listed(topic, status string, members ...string) string {
	text := `{"kind":"KafkaMirrorData","metadata":{"self":"s"},"link_name":"link","mirror_topic_name":"` + topic +
		`","source_topic_name":"` + topic + `","num_partitions":1,"mirror_lags":` +
		`[{"partition":0,"lag":0,"last_source_fetch_offset":7}],"state_time_ms":1612550939300`
	if status != "" {
		text += `,"mirror_status":"` + status + `"`
	}
	for _, m := range members {
		text += "," + m
	}
	return text + "}"
}

// told is what a listing says, in one line.
func toldList(l *mirror.Listing) string {
	var parts []string
	for _, m := range l.Mirrors {
		parts = append(parts, m.Topic+" "+string(m.Status))
	}
	if l.Complete {
		parts = append(parts, "complete")
	}
	return strings.Join(parts, ", ")
}

// A list that is strange in any way gives what can be read of it, and an error beside it.
func TestMirrors_StrangeLists(t *testing.T) {
	a, b := listed("a", "ACTIVE"), listed("b", "STOPPED")
	list := func(row ...string) string { return rows(row...) }
	for _, c := range []struct {
		name string
		do   mirrortest.Action
		want string // what was read
		err  string // "" for none
	}{
		{"two rows", ok(list(a, b)), "a ACTIVE, b STOPPED, complete", ""},
		{"no rows", ok(list()), "complete", ""},
		{"a status that nobody knows", ok(list(listed("a", "PENDING_NEW"))), "a PENDING_NEW, complete", ""},
		{"kinds that nobody knows", ok(strings.ReplaceAll(list(a), "Kafka", "Other")), "a ACTIVE, complete", ""},
		{"members that nobody knows", ok(list(listed("a", "ACTIVE", `"new":{"x":[1,{}]}`))), "a ACTIVE, complete", ""},
		{"next set", ok(strings.Replace(list(a), `"self":"s"`, `"self":"s","next":"p2"`, 1)), "a ACTIVE", `goes on at "p2"`},
		{"next null", ok(strings.Replace(list(a), `"self":"s"`, `"self":"s","next":null`, 1)), "a ACTIVE, complete", ""},
		{"cut after a row", ok(strings.TrimSuffix(list(a, b), b+"]}")), "a ACTIVE", "(1 row read)"},
		{"cut in a row", ok(list(a, b)[:len(list(a, b))-9]), "a ACTIVE", "(1 row read)"},
		{"closed without its end", raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n" +
			strings.TrimSuffix(list(a, b), "]}")), "a ACTIVE, b STOPPED", "unexpected EOF"},
		{"bytes after its end", ok(list(a) + "x"), "a ACTIVE", "bytes after its end"},
		{"a topic twice, alike", ok(list(a, a)), "a ACTIVE", "a has more than one row"},
		{"a topic twice, not alike", ok(list(a, listed("a", "STOPPED"))), "a ", "a has more than one row"},
		{
			"a topic twice, other lags", ok(list(a, strings.Replace(a, `"lag":0`, `"lag":9`, 1))), "a ",
			"a has more than one row",
		},
		{
			"a row without a name", ok(list(a, strings.Replace(b, `"mirror_topic_name":"b",`, "", 1))), "a ACTIVE",
			"row 2 has no topic name",
		},
		{"a name that is null", ok(list(strings.Replace(a, `"mirror_topic_name":"a"`, `"mirror_topic_name":null`, 1), b)),
			"b STOPPED", "row 1 has no topic name"},
		{
			"a name that no topic can have", ok(list(listed("a b", "ACTIVE"), b)), "b STOPPED",
			"row 1 has a name that no topic can have",
		},
		{"a name that is not UTF-8", ok(list(listed("a\xff", "ACTIVE"), b)), "b STOPPED", "row 1 has no topic name"},
		{
			"a name twice in a row", ok(list(listed("a", "ACTIVE", `"mirror_topic_name":"z"`))), "a ",
			"mirror_topic_name twice",
		},
		{"a row without a status", ok(list(listed("a", ""), b)), "a , b STOPPED", "the row of a has no status"},
		{
			"a status that is a number", ok(list(listed("a", "", `"mirror_status":4`), b)), "a , b STOPPED",
			"the row of a has no status",
		},
		{
			"a row that is not an object", ok(list("null", a, "[]")), "a ACTIVE",
			"2 rows have something wrong, the first: row 1 is not an object",
		},
		{"no data", ok(`{"kind":"K"}`), "", `it has no "data"`},
		{"data an object", ok(`{"data":{}}`), "", `its "data" is not an array`},
		{"data twice", ok(`{"data":[` + a + `],"data":[]}`), "a ACTIVE", `"data" twice`},
		{"an error under 200", ok(`{"error_code":500,"message":"x"}`), "", `it has no "data"`},
		{"an empty body", ok(""), "", "it is empty"},
		{"null", ok("null"), "", "not a JSON object"},
		{"an HTML page under 200", status(200, "text/html", "<title>Sign in</title>"), "", "Sign in"},
		{"no type", status(200, "", list(a)), "", "of no type"},
		{"204", status(204, "", ""), "", "HTTP 204"},
		{"303", status(303, "", "", "Location", "/x"), "", "not followed"},
		{"403", mirrortest.Error(403, 40301, "Authorization failed"), "", "Authorization failed"},
		{"503 as HTML", status(503, "text/html", "<title>busy</title>"), "", "HTTP 503 Service Unavailable: busy"},
		{"an unreadable lag", ok(list(strings.Replace(a, `"lag":0`, `"lag":"0"`, 1))), "a ACTIVE, complete", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := serve(t, ok(""))
			w.Local.Inject(mirrortest.Fault{Reads: true, Every: true, Do: c.do})
			l, err := w.client(t).Mirrors(t.Context(), "link")
			require.NotNil(t, l)
			require.Equal(t, c.want, toldList(l))
			require.Equal(t, "lkc-local link", l.ClusterID+" "+l.Link)
			require.Equal(t, c.name == "next set", l.Next == "p2")
			if c.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.err)
				require.ErrorContains(t, err, `the mirror topics of link "link" on "lkc-local" were not all read`)
				require.NotContains(t, err.Error(), "\n")
			}
			if testing.Verbose() {
				fmt.Printf("%-32s %-32s %v\n", c.name, toldList(l), err)
			}
		})
	}
}

// The shapes that real servers were seen to answer with read as they are meant.
func TestMirrors_ReadsWhatRealServersSend(t *testing.T) {
	body := `{"kind":"KafkaMirrorDataList","metadata":{"self":"https://h/kafka/v3/mirrors","next":null},"data":[
		{"kind":"KafkaMirrorData","metadata":{"self":"x"},"link_name":"link","mirror_topic_name":"a",
		 "source_topic_name":"from.a","num_partitions":3,"mirror_lags":[{"partition":2,"lag":5,"last_source_fetch_offset":11},
		 {"partition":0,"lag":0,"last_source_fetch_offset":-1},{"partition":1,"lag":7,"last_source_fetch_offset":3}],
		 "mirror_status":"ACTIVE","mirror_topic_error":"NO_ERROR","state_time_ms":1612550939300},
		{"kind":"KafkaMirrorData","metadata":{"self":"x","resource_name":null},"link_name":"link","mirror_topic_name":"b",
		 "source_topic_name":"b","num_partitions":1,"mirror_lags":[{"partition":0,"lag":900,"last_source_fetch_offset":4}],
		 "mirror_status":"STOPPED","state_time_ms":1612550939301},
		{"kind":"KafkaMirrorData","metadata":{"self":"x"},"link_name":"link","mirror_topic_name":"c","source_topic_name":"c",
		 "num_partitions":0,"mirror_lags":[],"mirror_status":"FAILED","mirror_topic_error":"SOURCE_TOPIC_MAY_BE_DELETED",
		 "state_time_ms":0}]}`
	w := serve(t, ok(""))
	w.Local.Inject(mirrortest.Fault{
		Reads: true, Do: status(200, "application/json", body, "Date", "Wed, 25 Nov 2026 10:00:00 GMT"),
	})
	l, err := w.client(t).Mirrors(t.Context(), "link")
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC), l.At)
	require.Equal(t, []mirror.Mirror{
		{
			Topic: "a", Source: "from.a", Status: mirror.StatusActive, Since: time.UnixMilli(1612550939300).UTC(), Partitions: 3,
			Lags: []mirror.PartitionLag{
				{Partition: 2, Lag: 5, LastSourceFetchOffset: 11}, {Partition: 0, LastSourceFetchOffset: -1},
				{Partition: 1, Lag: 7, LastSourceFetchOffset: 3},
			},
		},
		{
			Topic: "b", Source: "b", Status: mirror.StatusStopped, Since: time.UnixMilli(1612550939301).UTC(), Partitions: 1,
			Lags: []mirror.PartitionLag{{Lag: 900, LastSourceFetchOffset: 4}},
		},
		{
			Topic: "c", Source: "c", Status: mirror.StatusFailed, Error: "SOURCE_TOPIC_MAY_BE_DELETED",
			Lags: []mirror.PartitionLag{},
		},
	}, l.Mirrors)
	require.Equal(t, mirror.LagSummary{
		Total: 12, Partitions: 3, Largest: 7, Topic: "a", Partition: 1, NeverFetched: 1, Without: []string{"c"},
	}, l.Lag(), "what is left over from before a stop does not count")
	require.Equal(t, []string{"a", "c"}, l.Topics(), "what a failover starts from")
	require.Equal(t, []string{"b", "c"}, l.Topics(mirror.StatusStopped, mirror.StatusFailed))
	require.Equal(t, int64(12), l.Mirrors[0].Lag().Total)

	kept, err := json.Marshal(l)
	require.NoError(t, err)
	var again mirror.Listing
	require.NoError(t, json.Unmarshal(kept, &again))
	require.Equal(t, l.Mirrors, again.Mirrors)
	for _, l := range []*mirror.Listing{l, &again, {Mirrors: l.Mirrors}} {
		m, found := l.Mirror("b")
		require.True(t, found)
		require.Equal(t, mirror.StatusStopped, m.Status)
		_, found = l.Mirror("d")
		require.False(t, found)
	}
	require.Error(t, json.Unmarshal([]byte(`{"mirrors":4}`), &again))
}

func TestMirrors_CaughtUp(t *testing.T) {
	lags := func(p ...mirror.PartitionLag) []mirror.PartitionLag { return p }
	done := mirror.PartitionLag{Partition: 0, Lag: 0, LastSourceFetchOffset: 5}
	second := mirror.PartitionLag{Partition: 1, Lag: 0, LastSourceFetchOffset: 0}
	for name, c := range map[string]struct {
		m    mirror.Mirror
		want bool
	}{
		"all of it":           {mirror.Mirror{Status: mirror.StatusActive, Partitions: 2, Lags: lags(second, done)}, true},
		"paused":              {mirror.Mirror{Status: mirror.StatusPaused, Partitions: 1, Lags: lags(done)}, false},
		"stopped":             {mirror.Mirror{Status: mirror.StatusStopped, Partitions: 1, Lags: lags(done)}, false},
		"a partition missing": {mirror.Mirror{Status: mirror.StatusActive, Partitions: 2, Lags: lags(done)}, false},
		"a partition twice":   {mirror.Mirror{Status: mirror.StatusActive, Partitions: 2, Lags: lags(done, done)}, false},
		"no lags":             {mirror.Mirror{Status: mirror.StatusActive}, false},
		"not known how many":  {mirror.Mirror{Status: mirror.StatusActive, Partitions: -1, Lags: lags(done)}, false},
		"lagging": {mirror.Mirror{Status: mirror.StatusActive, Partitions: 1, Lags: lags(
			mirror.PartitionLag{Lag: 1, LastSourceFetchOffset: 5})}, false},
		"not known": {mirror.Mirror{Status: mirror.StatusActive, Partitions: 1, Lags: lags(
			mirror.PartitionLag{Lag: mirror.NotKnown, LastSourceFetchOffset: 5})}, false},
		"never fetched": {mirror.Mirror{Status: mirror.StatusActive, Partitions: 1, Lags: lags(
			mirror.PartitionLag{LastSourceFetchOffset: -1})}, false},
	} {
		c.m.Topic = "a"
		require.Equal(t, c.want, c.m.CaughtUp(), name)
		l := mirror.Listing{Mirrors: []mirror.Mirror{c.m}}
		require.Equal(t, c.want, l.CaughtUp("a"), name)
		require.False(t, l.CaughtUp("b"))
	}
}

// What cannot be read, or is said twice, is not caught up.
func TestMirrors_DoubtIsNotCaughtUp(t *testing.T) {
	row := listed("a", "ACTIVE")
	with := func(old, now string) string { return strings.Replace(row, old, now, 1) }
	lag := `{"partition":0,"lag":0,"last_source_fetch_offset":7}`
	for name, c := range map[string]struct {
		body string
		want bool
	}{
		"as it is":                     {rows(row), true},
		"a partition beyond its count": {rows(with(lag, `{"partition":1,"lag":0,"last_source_fetch_offset":7}`)), false},
		"elements that are no lags":    {rows(with(lag, lag+`,{"x":1},4`)), false},
		"lags as text":                 {rows(with(`"lag":0`, `"lag":"0"`)), false},
		"no offset":                    {rows(with(`,"last_source_fetch_offset":7`, "")), false},
		"two rows that differ in lag":  {rows(row, with(`"lag":0`, `"lag":9`)), false},
		"a status twice":               {rows(listed("a", "ACTIVE", `"mirror_status":"STOPPED"`)), false},
		"a count twice":                {rows(listed("a", "ACTIVE", `"num_partitions":50`)), false},
		"lags twice":                   {rows(listed("a", "ACTIVE", `"mirror_lags":[]`)), false},
		"an error of its own": {
			rows(listed("a", "ACTIVE", `"mirror_topic_error":"SOURCE_TOPIC_MAY_BE_DELETED"`)), false,
		},
	} {
		w := serve(t, ok(""))
		w.Local.Inject(mirrortest.Fault{Reads: true, Do: ok(c.body)})
		l, _ := w.client(t).Mirrors(t.Context(), "link")
		require.Len(t, l.Mirrors, 1, name)
		require.Equal(t, c.want, l.CaughtUp("a"), name)
	}
}

// A listing can be kept and changed by hand, whatever the server said in it.
func TestMirrors_AListingInTheCallersHands(t *testing.T) {
	w := serve(t, ok(""))
	far := strings.Replace(listed("a", "ACTIVE"), "1612550939300", "1612550939300000000", 1)
	w.Local.Inject(mirrortest.Fault{Reads: true, Do: ok(rows(far, listed("b", "PAUSED"), listed("c", "ACTIVE")))})
	l, err := w.client(t).Mirrors(t.Context(), "link")
	require.NoError(t, err)
	require.True(t, l.Mirrors[0].Since.IsZero(), "a time that has no text form is not known")
	text, err := json.Marshal(l)
	require.NoError(t, err)
	l.Mirrors[0] = mirror.Mirror{Topic: "z"}
	_, found := l.Mirror("z")
	require.True(t, found)
	l.Mirrors = l.Mirrors[:1]
	_, found = l.Mirror("c")
	require.False(t, found)
	require.NoError(t, json.Unmarshal([]byte(strings.Replace(string(text), `"topic":"a"`, `"topic":"\u001b[2J"`, 1)), l))
	require.NotContains(t, l.Mirrors[0].Topic, "\x1b")
	var kept mirror.Listing
	require.NoError(
		t,
		json.Unmarshal(
			[]byte(`{"mirrors":[{"topic":"a","status":"ACTIVE","partitions":1,"lags":[{"partition":0}]}]}`), &kept,
		),
	)
	require.False(t, kept.CaughtUp("a"), "a lag that is not there is not 0")
}

// A credential that happens to be a part of a topic's name does not hide the topic from who names it.
func TestMirror_NamedByTheCaller(t *testing.T) {
	secret := "confluent-audit"
	pair := mirrortest.NewPair(t, mirrortest.Options{Topics: []mirrortest.Topic{{Name: secret + "-log"}}})
	pair.Local.AcceptToken(secret, "")
	cfg := pair.Local.Config()
	cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) { return secret, nil }, "")
	m, err := newClient(t, cfg).Mirror(t.Context(), pair.Link(), secret+"-log")
	require.NoError(t, err)
	require.Equal(t, secret+"-log", m.Topic)
	_, err = newClient(t, cfg).Mirrors(t.Context(), pair.Link())
	require.ErrorContains(t, err, "row 1 has a name with the credential in it")
	report, err := newClient(t, cfg).Promote(t.Context(), pair.Link(), mirror.Topics(secret+"-log"))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	once := mirror.FollowOptions{OnPoll: func(context.Context, *mirror.Progress) { cancel() }}
	p, _ := newClient(t, cfg).Follow(ctx, report, once)
	require.Equal(t, []string{secret + "-log"}, p.Topics(mirror.StageDone))
}

// Middleware that hides the transport's own error does not make a lost read look unsent.
func TestMirrors_MiddlewareThatHidesTheCause(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	pair.Local.Inject(mirrortest.Fault{Reads: true, Do: mirrortest.Cut(0)})
	cfg := pair.Local.Config()
	cfg.Middleware = func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err != nil {
				err = errors.New("upstream: " + err.Error())
			}
			return resp, err
		})
	}
	_, err := newClient(t, cfg).Mirrors(t.Context(), pair.Link())
	require.NoError(t, err)
	require.Len(t, pair.Journal(), 2, "it is retried as a dry run is")
}

// The answer of an attempt that failed leaves nothing behind.
func TestLink_AFailedAttemptLeavesNothingBehind(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	cut := `{"data":[{"name":"link.mode","value":"SOURCE"},{"name":"cluster.link.prefix","value":"eu."}`
	pair.Local.Inject(mirrortest.Fault{Reads: true, Nth: 2, Do: ok(cut)})
	info, err := newClient(t, pair.Local.Config()).Link(t.Context(), pair.Link())
	require.NoError(t, err)
	require.Equal(t, "BIDIRECTIONAL ", info.Mode+" "+info.Prefix)
	pair.Local.Inject(mirrortest.Fault{Reads: true, Nth: 2, Every: true, Do: ok(rows(
		`{"name":"link.mode","value":"SOURCE"}`, `{"name":"link.mode","value":"BIDIRECTIONAL"}`))})
	_, err = newClient(t, pair.Local.Config()).Link(t.Context(), pair.Link())
	require.ErrorContains(t, err, "it has link.mode twice")
}

// A link that the name of another error stands in is no other error.
func TestMirrors_ALinkNamedLikeAnError(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	_, err := newClient(t, pair.Local.Config()).Mirrors(t.Context(), "The mirror topic doesn't exist")
	require.ErrorIs(t, err, mirror.ErrNoLink)
	require.NotErrorIs(t, err, mirror.ErrNoMirror)
}

// A read that is called directly is retried as a dry run is, shares the client's bounds, and changes nothing.
func TestMirrors_AreRetriedAsADryRunIs(t *testing.T) {
	page := mirrortest.RateLimitedWithoutHeader()
	for _, c := range []struct {
		name   string
		faults []mirrortest.Action
		edit   func(*mirror.Config)
		seen   int
		err    string // "" for none
		is     error
	}{
		{
			name: "5xx twice", faults: []mirrortest.Action{mirrortest.Error(503, 50003, "x"), mirrortest.Error(500, 500, "x")},
			seen: 3,
		},
		{name: "5xx three times", faults: []mirrortest.Action{
			mirrortest.Error(503, 50003, "x"), mirrortest.Error(503, 50003, "x"), mirrortest.Error(503, 50003, "y"),
		}, seen: 3, err: "HTTP 503"},
		{name: "a lost answer", faults: []mirrortest.Action{mirrortest.Cut(0)}, seen: 2},
		{name: "a cut answer", faults: []mirrortest.Action{mirrortest.Cut(300)}, seen: 2},
		{name: "no answer within the time-out", faults: []mirrortest.Action{silent()}, seen: 2,
			edit: func(c *mirror.Config) { c.Timeout = 10 * time.Second }},
		{
			name: "the rate limiter", faults: []mirrortest.Action{mirrortest.RateLimited(), mirrortest.RateLimited(), page},
			seen: 4,
		},
		{name: "403", faults: []mirrortest.Action{mirrortest.Error(403, 40301, "x")}, seen: 1, err: "HTTP 403"},
		{
			name: "401", faults: []mirrortest.Action{mirrortest.Error(401, 40101, "x")}, seen: 1, err: "HTTP 401",
			is: mirror.ErrUnauthenticated,
		},
		{name: "the rate limiter, without retries", faults: []mirrortest.Action{mirrortest.RateLimited()}, seen: 1,
			edit: func(c *mirror.Config) { c.RetryFor = -1 }, err: "HTTP 429", is: mirror.ErrRateLimited},
		{name: "an answer that is too long", edit: func(c *mirror.Config) { c.MaxAnswer = 100 }, seen: 3,
			err: "it is longer than 100 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
				for _, do := range c.faults {
					pair.Local.Inject(mirrortest.Fault{Reads: true, Do: do})
				}
				var log strings.Builder
				cfg := pair.Local.Config()
				cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				if c.edit != nil {
					c.edit(&cfg)
				}
				l, err := newClient(t, cfg).Mirrors(t.Context(), pair.Link())
				require.Len(t, pair.Journal(), c.seen)
				require.Equal(t, c.seen, strings.Count(log.String(), `operation="list mirrors" link=dr-link attempt=`))
				if c.err == "" {
					require.NoError(t, err)
					require.Equal(t, "topic-1 ACTIVE, topic-2 ACTIVE, complete", toldList(l))
					return
				}
				require.ErrorContains(t, err, c.err)
				require.False(t, l.Complete)
				if c.is != nil {
					require.ErrorIs(t, err, c.is)
				}
				require.NotContains(t, err.Error(), "carried out")
			})
		})
	}
}

func TestMirrors_EndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
		pair.Local.Inject(mirrortest.Fault{Reads: true, Every: true, Do: silent()})
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		start := time.Now()
		_, err := newClient(t, pair.Local.Config()).Mirrors(ctx, pair.Link())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 7*time.Second, time.Since(start))
	})
}

// What does not reach the cluster, or is no cluster, is said for what it is.
func TestMirrors_WhatCannotBeReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
		cfg := pair.Local.Config()
		require.NoError(t, pair.Close())
		start := time.Now()
		_, err := newClient(t, cfg).Mirrors(t.Context(), pair.Link())
		require.ErrorContains(t, err, "the request was not sent")
		require.ErrorContains(t, err, "connection refused")
		require.InDelta(t, 10, time.Since(start).Seconds(), 10, "it is tried for a while")
		require.NotZero(t, time.Since(start))
	})
	pair := mirrortest.NewPair(t, mirrortest.Options{TLS: true})
	cfg := pair.Local.Config()
	cfg.TLS = nil
	_, err := newClient(t, cfg).Mirrors(t.Context(), pair.Link())
	require.ErrorContains(t, err, "certificate")
	require.Empty(t, pair.Journal())
}

// The two kinds of 404 are told apart, for reads and for verbs.
func TestMirrors_NoLinkAndNoMirror(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	client := newClient(t, pair.Local.Config())
	_, listErr := client.Mirrors(t.Context(), "other")
	_, linkErr := client.Link(t.Context(), "other")
	_, mirrorErr := client.Mirror(t.Context(), "other", "topic-1")
	report, verbErr := client.Pause(t.Context(), "other", mirror.Topics("topic-1"))
	for _, err := range []error{listErr, linkErr, mirrorErr, verbErr, clone(t, report).Err()} {
		require.ErrorIs(t, err, mirror.ErrNoLink)
		require.NotErrorIs(t, err, mirror.ErrNoMirror)
		require.ErrorContains(t, err, "The cluster link doesn't exist: other")
	}
	_, err := client.Mirror(t.Context(), pair.Link(), "nowhere")
	require.ErrorIs(t, err, mirror.ErrNoMirror)
	require.NotErrorIs(t, err, mirror.ErrNoLink)
	_, err = newClient(t, pair.Remote.Config()).Resume(t.Context(), pair.Link(), mirror.Topics("topic-1"))
	require.ErrorIs(t, err, mirror.ErrNoMirror, "by row")

	w := serve(t, ok(""))
	w.Local.Inject(mirrortest.Fault{Reads: true, Do: mirrortest.Error(403, 40301, "The cluster link doesn't exist: link")})
	_, err = w.client(t).Mirrors(t.Context(), "link")
	require.NotErrorIs(t, err, mirror.ErrNoLink, "a 403 says nothing about it")
}

// Bad arguments of a read are refused before anything is sent.
func TestMirrors_BadArguments(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	client := newClient(t, pair.Local.Config())
	for _, link := range []string{"", "-", "..", "a\nb", " a"} {
		l, listErr := client.Mirrors(t.Context(), link)
		require.NotNil(t, l)
		_, linkErr := client.Link(t.Context(), link)
		_, mirrorErr := client.Mirror(t.Context(), link, "a b")
		for _, err := range []error{listErr, linkErr, mirrorErr} {
			require.ErrorIs(t, err, mirror.ErrInvalidArgument)
			require.ErrorContains(t, err, "link: ")
		}
		require.ErrorContains(t, mirrorErr, `Topics: not a topic name: "a b"`)
	}
	_, err := client.Mirror(t.Context(), "l", "")
	require.ErrorIs(t, err, mirror.ErrInvalidArgument)
	_, err = (*mirror.Client)(nil).Mirrors(t.Context(), "l")
	require.ErrorIs(t, err, mirror.ErrInvalidArgument)
	_, err = new(mirror.Client).Link(t.Context(), "l")
	require.ErrorIs(t, err, mirror.ErrInvalidArgument)
	require.Empty(t, pair.Journal())
}

// One topic is read with its reasons; a server that does not know the question gives none.
func TestMirror_HasTheReasons(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{Link: "a link/%"})
	client := newClient(t, pair.Local.Config())
	why := mirror.Reason{Code: "CONSUMER_GROUP_IN_USE_ERROR", Message: "Consumer group 'g' is active"}
	pair.Local.SetReasons("topic-1", why)
	pair.Local.SetError("topic-1", "UNSUPPORTED_MIRROR_STATE")
	_, err := client.ReverseAndPause(t.Context(), pair.Link(), mirror.Topics("topic-1"))
	require.NoError(t, err)
	m, err := client.Mirror(t.Context(), pair.Link(), "topic-1")
	require.NoError(t, err)
	require.Equal(t, mirror.StatusPendingStopped, m.Status)
	require.Equal(t, "UNSUPPORTED_MIRROR_STATE", m.Error)
	require.Equal(t, []mirror.Reason{why}, m.Reasons)
	require.Equal(t, "CONSUMER_GROUP_IN_USE_ERROR: Consumer group 'g' is active", m.Reasons[0].String())
	require.Contains(
		t, pair.Journal()[1].URI, "/links/a%20link%2F%25/mirrors/topic-1?include_state_transition_errors=true",
	)

	for body, want := range map[string]string{
		listed("topic-2", "ACTIVE"): "",
		listed("topic-2", "ACTIVE", `"mirror_state_transition_errors":null`):                  "",
		listed("topic-2", "ACTIVE", `"mirror_state_transition_errors":[{"error_code":4},{}]`): "",
		listed("topic-1", "ACTIVE"):       `the answer is about "topic-1"`,
		listed("topic-2", ""):             "has no status",
		listed("topic-2", "ACTIVE") + "x": "bytes after its end",
		"[]":                              "not a JSON object",
		"":                                "it is empty",
	} {
		pair.Local.Inject(mirrortest.Fault{Reads: true, Do: ok(body)})
		cfg := pair.Local.Config()
		cfg.RetryFor = -1
		m, err = newClient(t, cfg).Mirror(t.Context(), pair.Link(), "topic-2")
		if want == "" {
			require.NoError(t, err)
			require.Equal(t, mirror.StatusActive, m.Status)
		} else {
			require.ErrorContains(t, err, want)
		}
	}
}

// What a server repeats of the credential stays out of everything that is read.
func TestNoSecrets_InWhatIsRead(t *testing.T) {
	in := `Bearer ` + canary
	for name, body := range map[string]string{
		"source": rows(strings.Replace(
			listed("c", "ACTIVE"), `"source_topic_name":"c"`, `"source_topic_name":"`+canary+`"`, 1,
		)),
		"list": rows(listed("a", in, `"mirror_topic_error":"`+in+`"`), listed(canary, "ACTIVE"),
			strings.Replace(listed("c", "ACTIVE"), `"source_topic_name":"c"`, `"source_topic_name":"`+in+`"`, 1)),
		"next":  `{"metadata":{"next":"` + in + `"},"data":[]}`,
		"wrong": `{"data":"` + in + `"}`,
	} {
		w := serve(t, ok(""))
		w.Local.Inject(mirrortest.Fault{Reads: true, Every: true, Do: ok(body)})
		l, err := w.client(t).Mirrors(t.Context(), "link")
		require.NotContains(t, fmt.Sprintf("%+v %v", l, err), canary, name)
	}
	w := serve(t, ok(""))
	w.Local.Inject(mirrortest.Fault{Reads: true, Every: true, Do: ok(listed("a", "ACTIVE",
		`"mirror_state_transition_errors":[{"error_code":"`+in+`","error_message":"`+in+`"}]`))})
	m, err := w.client(t).Mirror(t.Context(), "link", "a")
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%+v", m), canary)
	w = serve(t, ok(""))
	w.Local.Inject(mirrortest.Fault{Reads: true, Do: ok(`{"link_name":"link","cluster_link_id":"` + in +
		`","link_error":"` + in +
		`","link_error_message":"` + in + `","tasks":[{"task_name":"` + in + `","state":"` + in +
		`","errors":[{"error_code":"` + in + `","error_message":"` + in + `"}]}]}`)})
	w.Local.Inject(mirrortest.Fault{Reads: true, Do: ok(rows(`{"name":"link.mode","value":"`+in+`"}`,
		`{"name":"cluster.link.prefix","value":"`+in+`"}`))})
	info, err := w.client(t).Link(t.Context(), "link")
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%+v %v", info, mirror.CheckPair(info, info)), canary)
}

// A middleware sees the reads too, and answers that are not to a GET are none.
func TestMirrors_ThroughMiddleware(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	cfg := pair.Local.Config()
	cfg.RetryFor = -1
	cfg.Middleware = func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			require.Equal(t, http.MethodGet, r.Method)
			require.Nil(t, r.Body)
			resp, err := next.RoundTrip(r)
			resp.Request = &http.Request{Method: http.MethodPost}
			return resp, err
		})
	}
	_, err := newClient(t, cfg).Mirrors(t.Context(), pair.Link())
	require.ErrorContains(t, err, "the middleware answered with the response to another request (POST)")
}

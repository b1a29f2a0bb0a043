package mirror_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	row := `{"kind":"KafkaMirrorData","metadata":{"self":"s"},"link_name":"link","mirror_topic_name":"` + topic +
		`","source_topic_name":"` + topic + `","num_partitions":1,"mirror_lags":` +
		`[{"partition":0,"lag":0,"last_source_fetch_offset":7}],"state_time_ms":1612550939300`
	if status != "" {
		row += `,"mirror_status":"` + status + `"`
	}
	return strings.Join(append([]string{row}, members...), ",") + "}"
}

// inShort is what a listing says, in one line.
func inShort(l *mirror.Listing) string {
	var parts []string
	for _, m := range l.Mirrors {
		parts = append(parts, m.Topic+" "+string(m.Status))
	}
	switch {
	case l.Complete:
		parts = append(parts, "complete")
	case l.Read:
		parts = append(parts, "read")
	}
	return strings.Join(parts, ", ")
}

// A list that is strange in any way gives what can be read of it, and an error beside it.
func TestMirrors_StrangeLists(t *testing.T) {
	a, b := listed("a", "ACTIVE"), listed("b", "STOPPED")
	for _, c := range []struct {
		name string
		do   mirrortest.Action
		want string // what was read
		err  string // "" for none
	}{
		{"two rows", ok(rows(a, b)), "a ACTIVE, b STOPPED, complete", ""},
		{"no rows", ok(rows()), "complete", ""},
		{"a status that nobody knows", ok(rows(listed("a", "PENDING_NEW"))), "a PENDING_NEW, complete", ""},
		{"kinds that nobody knows", ok(strings.ReplaceAll(rows(a), "Kafka", "Other")), "a ACTIVE, complete", ""},
		{"members that nobody knows", ok(rows(listed("a", "ACTIVE", `"new":{"x":[1,{}]}`))), "a ACTIVE, complete", ""},
		{"a lag that cannot be read", ok(rows(strings.Replace(a, `"lag":0`, `"lag":"0"`, 1))), "a ACTIVE, complete", ""},
		{"a count that cannot be read", ok(rows(strings.Replace(a, `"num_partitions":1`, `"num_partitions":"1"`, 1))), "a ACTIVE, complete", ""},
		{"next null", ok(strings.Replace(rows(a), `"self":"s"`, `"self":"s","next":null`, 1)), "a ACTIVE, complete", ""},
		{"another member twice", ok(rows(listed("a", "ACTIVE", `"kind":"K"`))), "a ACTIVE, complete", ""},
		{"next set", ok(strings.Replace(rows(a), `"self":"s"`, `"self":"s","next":"p2"`, 1)), "a ACTIVE, read", `goes on at "p2"`},
		{"errors beside the rows", ok(`{"errors":[{"code":"50002"}],"data":[` + a + `]}`), "a ACTIVE, read", "an error beside its rows"},
		{"a code beside the rows", ok(`{"error_code":500,"data":[` + a + `]}`), "a ACTIVE, read", "an error beside its rows"},
		{"a row of another link", ok(rows(a, strings.Replace(b, `"link_name":"link"`, `"link_name":"other"`, 1))), "a ACTIVE, read",
			`the row of b is of another link, "other"`},
		{"a row of no link", ok(rows(a, strings.Replace(b, `"link_name":"link",`, "", 1))), "a ACTIVE, read", "of another link"},
		{"cut after a row", ok(strings.TrimSuffix(rows(a, b), b+"]}")), "a ACTIVE", "unexpected EOF"},
		{"cut in a row", ok(rows(a, b)[:len(rows(a, b))-9]), "a ACTIVE", "unexpected EOF"},
		{"bytes after its end", ok(rows(a) + "x"), "a ACTIVE", "bytes after its end"},
		{"a topic twice, alike", ok(rows(a, a)), "a ACTIVE, read", "a has more than one row"},
		{"a topic twice, not alike", ok(rows(a, listed("a", "STOPPED"))), "a , read", "a has more than one row"},
		{"a row without a name", ok(rows(a, strings.Replace(b, `"mirror_topic_name":"b",`, "", 1))), "a ACTIVE, read", "no topic name"},
		{"a name that is null", ok(rows(strings.Replace(a, `"mirror_topic_name":"a"`, `"mirror_topic_name":null`, 1), b)),
			"b STOPPED, read", "no topic name"},
		{"a name that no topic can have", ok(rows(listed("a b", "ACTIVE"), b)), "b STOPPED, read", "no topic name"},
		{"a name that is not UTF-8", ok(rows(listed("a\xff", "ACTIVE"), b)), "b STOPPED, read", "no topic name"},
		{"a name twice in a row", ok(rows(listed("a", "ACTIVE", `"mirror_topic_name":"z"`), b)), "b STOPPED, read", "no topic name"},
		{"a row without a status", ok(rows(listed("a", ""), b)), "a , b STOPPED, read", "the row of a has no status"},
		{"a status twice", ok(rows(listed("a", "ACTIVE", `"mirror_status":"STOPPED"`), b)), "a , b STOPPED, read", "the row of a has no status"},
		{"a status that is a number", ok(rows(listed("a", "", `"mirror_status":4`), b)), "a , b STOPPED, read",
			"the row of a has no status"},
		{"rows that are no objects", ok(rows("null", a, "[]")), "a ACTIVE, read", "2 things are wrong"},
		{"no data", ok(`{"kind":"K"}`), "", `it has no "data"`},
		{"an empty body", ok(""), "", "it is empty"},
		{"an HTML page under 200", status(200, "text/html", "<title>Sign in</title>"), "", "Sign in"},
		{"403", mirrortest.Error(403, 40301, "Authorization failed"), "", "Authorization failed"},
		{"503 as HTML", status(503, "text/html", "<title>busy</title>"), "", "busy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := serveReads(t, c.do).client(t).Mirrors(t.Context(), "link")
			require.NotNil(t, l)
			require.Equal(t, c.want, inShort(l))
			require.Equal(t, "lkc-local link", l.ClusterID+" "+l.Link)
			require.Equal(t, err == nil, l.Complete, "the error is nil only if the list is complete")
			if c.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.err)
			require.ErrorContains(t, err, `the list of mirror topics of link "link" on "lkc-local"`)
			require.NotContains(t, err.Error(), "\n")
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
	l, err := newClient(t, offline(roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := answering(body).RoundTrip(r)
		resp.Header.Set("Date", "Wed, 25 Nov 2026 10:00:00 GMT")
		resp.Header.Set("Age", "7")
		return resp, err
	}))).Mirrors(t.Context(), "link")
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC), l.At)
	require.Equal(t, 7*time.Second, l.Age)
	require.True(t, l.Fetched)
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
		{Topic: "c", Source: "c", Status: mirror.StatusFailed, Error: "SOURCE_TOPIC_MAY_BE_DELETED"},
	}, l.Mirrors)
	require.Equal(t, mirror.LagSummary{
		Total: 12, Partitions: 3, Largest: 7, Topic: "a", Partition: 1, NeverFetched: 1, Without: []string{"c"},
	}, l.Lag(), "what is left over from before a stop does not count")
	require.Equal(t, []string{"a", "c"}, l.Topics(), "what a failover starts from")
	require.Equal(t, []string{"b", "c"}, l.Topics(mirror.StatusStopped, mirror.StatusFailed))
	require.EqualValues(t, 12, l.Mirrors[0].Lag().Total)
	m, found := l.Mirror("b")
	require.True(t, found)
	require.Equal(t, l.Mirrors[1], m)
	_, found = l.Mirror("d")
	require.False(t, found)

	var again mirror.Listing
	require.NoError(t, json.Unmarshal([]byte(marshal(t, l)), &again))
	require.Equal(t, *l, again)
}

// A call that names topics keeps only those, and the list says of all of them whether something was fetched.
func TestMirrors_KeepsTheTopicsThatAreNamed(t *testing.T) {
	row := func(topic, status, offset string) string {
		return strings.Replace(listed(topic, status), `"last_source_fetch_offset":7`, `"last_source_fetch_offset":`+offset, 1)
	}
	for _, c := range []struct {
		name, body, want string
		fetched          bool
	}{
		{"one of them", rows(row("a", "ACTIVE", "-1"), row("b", "ACTIVE", "0"), row("c", "ACTIVE", "3")), "a ACTIVE, complete", true},
		{"nothing was fetched", rows(row("a", "ACTIVE", "-1"), row("b", "ACTIVE", "0")), "a ACTIVE, complete", false},
		{"of a mirror that is not ACTIVE", rows(row("a", "PAUSED", "5")), "a PAUSED, complete", false},
		{"none of them", rows(row("b", "ACTIVE", "1")), "complete", true},
		{"another topic twice", rows(row("a", "ACTIVE", "1"), row("b", "ACTIVE", "1"), row("b", "PAUSED", "1")), "a ACTIVE, complete", true},
		{"another row without a name", rows(row("a", "ACTIVE", "1"), "{}"), "a ACTIVE, read", true},
	} {
		l, err := newClient(t, offline(answering(c.body))).Mirrors(t.Context(), "link", "a", "z")
		require.Equal(t, c.want, inShort(l), c.name)
		require.Equal(t, strings.Contains(c.want, "complete"), err == nil)
		require.Equal(t, c.fetched, l.Fetched, c.name)
	}
}

func TestMirrors_TimesThatAreNotKnown(t *testing.T) {
	for name, row := range map[string]string{
		"zero": strings.Replace(listed("a", "ACTIVE"), "1612550939300", "0", 1),
		"far":  strings.Replace(listed("a", "ACTIVE"), "1612550939300", "1612550939300000000", 1),
		"text": strings.Replace(listed("a", "ACTIVE"), "1612550939300", `"1612550939300"`, 1),
		"none": strings.Replace(listed("a", "ACTIVE"), `,"state_time_ms":1612550939300`, "", 1),
	} {
		l, err := newClient(t, offline(answering(rows(row)))).Mirrors(t.Context(), "link")
		require.NoError(t, err, name)
		require.True(t, l.Mirrors[0].Since.IsZero(), name)
		require.True(t, l.At.IsZero())
		require.Zero(t, l.Age)
		_, err = json.Marshal(l)
		require.NoError(t, err)
	}
	l, err := newClient(t, offline(answering(rows(strings.Replace(listed("a", "ACTIVE"), `"num_partitions":1,`, "", 1))))).
		Mirrors(t.Context(), "link")
	require.NoError(t, err)
	require.Equal(t, -1, l.Mirrors[0].Partitions)
	l, err = newClient(t, offline(answering(rows(listed("a", "ACTIVE", `"mirror_lags":7`))))).Mirrors(t.Context(), "link")
	require.NoError(t, err)
	require.Equal(t, 1, l.Mirrors[0].Lag().NotKnown, "a list of lags that cannot be read is not a list without lags")
}

// A read is retried as a dry run is, and shares the client's bounds.
func TestMirrors_AreRetriedAsADryRunIs(t *testing.T) {
	busy := mirrortest.Error(503, 50003, "x")
	for _, c := range []struct {
		name   string
		faults []mirrortest.Action
		edit   func(*mirror.Config)
		seen   int
		is     error // nil for no error
	}{
		{"5xx twice", []mirrortest.Action{busy, busy}, nil, 3, nil},
		{"5xx three times", []mirrortest.Action{busy, busy, busy}, nil, 3, &mirror.APIError{}},
		{"a lost answer", []mirrortest.Action{mirrortest.Cut(0)}, nil, 2, nil},
		{"a cut answer", []mirrortest.Action{mirrortest.Cut(300)}, nil, 2, nil},
		{"no answer in time", []mirrortest.Action{silent()}, func(c *mirror.Config) { c.Timeout = 10 * time.Second }, 2, nil},
		{"the rate limiter", []mirrortest.Action{
			mirrortest.RateLimited(), mirrortest.RateLimited(), mirrortest.RateLimitedWithoutHeader(),
		}, nil, 4, nil},
		{"403", []mirrortest.Action{mirrortest.Error(403, 40301, "x")}, nil, 1, &mirror.APIError{}},
		{"401", []mirrortest.Action{mirrortest.Error(401, 40101, "x")}, nil, 1, mirror.ErrUnauthenticated},
		{"the rate limiter, without retries", []mirrortest.Action{mirrortest.RateLimited()},
			func(c *mirror.Config) { c.RetryFor = -1 }, 1, mirror.ErrRateLimited},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
				for _, do := range c.faults {
					pair.Local.Inject(mirrortest.Fault{Reads: true, Do: do})
				}
				cfg := pair.Local.Config()
				if c.edit != nil {
					c.edit(&cfg)
				}
				l, err := newClient(t, cfg).Mirrors(t.Context(), pair.Link())
				require.Len(t, pair.Requests(), c.seen)
				for _, r := range pair.Requests() {
					require.Equal(t, "no-cache", r.Header.Get("Cache-Control"))
				}
				var api *mirror.APIError
				switch {
				case c.is == nil:
					require.NoError(t, err)
					require.Equal(t, "topic-1 ACTIVE, topic-2 ACTIVE, complete", inShort(l))
				case errors.As(c.is, &api):
					require.ErrorAs(t, err, &api)
				default:
					require.ErrorIs(t, err, c.is)
				}
			})
		})
	}
}

func TestBounded_AReadEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
		pair.Local.Inject(mirrortest.Fault{Reads: true, Every: true, Do: silent()})
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		start := time.Now()
		l, err := newClient(t, pair.Local.Config()).Mirrors(ctx, pair.Link())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 7*time.Second, time.Since(start))
		require.False(t, l.Complete)
	})
}

func TestSaidBeforeSending_ReadsAreCheckedToo(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
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
	_, err = client.Mirrors(t.Context(), "l", "a", "a")
	require.ErrorIs(t, err, mirror.ErrInvalidArgument)
	_, err = (*mirror.Client)(nil).Mirrors(t.Context(), "l")
	require.ErrorIs(t, err, mirror.ErrInvalidArgument)
	_, err = new(mirror.Client).Link(t.Context(), "l")
	require.ErrorIs(t, err, mirror.ErrInvalidArgument)
	require.Empty(t, pair.Requests())
}

// One topic is read with its reasons; a server that does not know the question gives none.
func TestMirror_HasTheReasons(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Link: "a link/%"})
	client := newClient(t, pair.Local.Config())
	pair.Local.SetReasons("topic-1", mirrortest.Reason{Code: "CONSUMER_GROUP_IN_USE_ERROR", Message: "Consumer group 'g' is active"})
	pair.Local.SetError("topic-1", "UNSUPPORTED_MIRROR_STATE")
	_, err := client.ReverseAndPause(t.Context(), pair.Link(), mirror.Topics("topic-1"))
	require.NoError(t, err)
	m, err := client.Mirror(t.Context(), pair.Link(), "topic-1")
	require.NoError(t, err)
	require.Equal(t, mirror.StatusPendingStopped, m.Status)
	require.Equal(t, "UNSUPPORTED_MIRROR_STATE", m.Error)
	require.Len(t, m.Reasons, 1)
	require.Equal(t, "CONSUMER_GROUP_IN_USE_ERROR: Consumer group 'g' is active", m.Reasons[0].String())
	require.Equal(t, "only", mirror.Reason{Message: "only"}.String())
	require.Contains(t, pair.Requests()[1].URI, "/links/a%20link%2F%25/mirrors/topic-1?include_state_transition_errors=true")

	for body, want := range map[string]string{
		listed("b", "ACTIVE"): "",
		listed("b", "ACTIVE", `"mirror_state_transition_errors":null`):                  "",
		listed("b", "ACTIVE", `"mirror_state_transition_errors":[{"error_code":4},{}]`): "",
		listed("a", "ACTIVE"):       `the answer is about "a"`,
		listed("b", ""):             "has no status",
		listed("b", "ACTIVE") + "x": "bytes after its end",
		"[]":                        "not a JSON object",
		"":                          "it is empty",
		strings.Replace(listed("b", "ACTIVE"), `"link_name":"link"`, `"link_name":"other"`, 1): "another link",
	} {
		m, err = newClient(t, offline(answering(body))).Mirror(t.Context(), "link", "b")
		if want == "" {
			require.NoError(t, err)
			require.Equal(t, mirror.StatusActive, m.Status)
		} else {
			require.ErrorContains(t, err, want)
			require.Equal(t, mirror.Mirror{}, m)
		}
	}
}

// What a server repeats of the credential stays out of everything that is read.
func TestNoSecrets_InWhatIsRead(t *testing.T) {
	in := `Bearer ` + canary
	for name, body := range map[string]string{
		"source": rows(strings.Replace(listed("c", "ACTIVE"), `"source_topic_name":"c"`, `"source_topic_name":"`+canary+`"`, 1)),
		"list":   rows(listed("a", in, `"mirror_topic_error":"`+in+`"`)),
		"link":   rows(strings.Replace(listed("c", "ACTIVE"), `"link_name":"link"`, `"link_name":"`+in+`"`, 1)),
		"next":   `{"metadata":{"next":"` + in + `"},"data":[]}`,
		"wrong":  `{"data":"` + in + `"}`,
	} {
		l, err := serveReads(t, ok(body)).client(t).Mirrors(t.Context(), "link")
		require.NotContains(t, fmt.Sprintf("%+v %v", l, err), canary, name)
	}
	m, err := serveReads(t, ok(listed("a", "ACTIVE",
		`"mirror_state_transition_errors":[{"error_code":"`+in+`","error_message":"`+in+`"}]`))).client(t).Mirror(t.Context(), "link", "a")
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%+v", m), canary)
	w := serve(t, ok(""))
	w.Local.Inject(mirrortest.Fault{Reads: true, Do: ok(`{"link_name":"link","cluster_link_id":"` + in + `","link_error":"` + in +
		`","link_error_message":"` + in + `","tasks":[{"task_name":"` + in + `","state":"` + in +
		`","errors":[{"error_code":"` + in + `","error_message":"` + in + `"}]}]}`)})
	w.Local.Inject(mirrortest.Fault{Reads: true, Do: ok(rows(`{"name":"link.mode","value":"`+in+`"}`,
		`{"name":"cluster.link.prefix","value":"`+in+`"}`))})
	info, err := w.client(t).Link(t.Context(), "link")
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%+v %v", info, mirror.CheckPair(info, info)), canary)
}

// A read goes through the Config's Transport, as a GET without a body.
func TestMirrors_ThroughATransport(t *testing.T) {
	cfg := offline(roundTripper(func(r *http.Request) (*http.Response, error) {
		require.Equal(t, http.MethodGet, r.Method)
		require.Nil(t, r.Body)
		return answering(rows()).RoundTrip(r)
	}))
	_, err := newClient(t, cfg).Mirrors(t.Context(), "link")
	require.NoError(t, err)
}

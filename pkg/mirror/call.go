package mirror

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/internal/wire"
)

// call is one call of a verb.
type call struct {
	verb      Verb
	link      string
	selection Selection
	dryRun    bool
	bad       argumentError
	check     func(*Result) // adds notes to a topic's Result; nil adds none

	client  *Client
	report  *Report
	secrets wire.Secrets
	run     string
	errs    map[string]error // the live errors by their texts
}

// do checks a call and sends its batches. The report accounts for every topic.
func (c *Client) do(ctx context.Context, k *call) (*Report, error) {
	if c.checkMade(&k.bad); len(k.bad.problems) > 0 && c.ClusterID() == "" {
		c = &Client{sender: wire.Sender{Logger: slog.New(slog.DiscardHandler)}}
	}
	k.verb.checkTo(&k.bad)
	checkID(&k.bad, "link", k.link)
	k.selection.checkTo(&k.bad)
	k.client, k.errs = c, map[string]error{}
	k.report = &Report{
		Verb: k.verb, ClusterID: c.clusterID, Link: k.link, DryRun: k.dryRun, Pattern: k.selection.expression,
		Results: make([]Result, 0, len(k.selection.names)),
	}
	seen := make(map[string]bool, len(k.selection.names)) // a call with a repeated name is refused with a report
	for _, name := range k.selection.names {
		if !seen[name] {
			seen[name] = true
			k.report.Results = append(k.report.Results, Result{Topic: name, Outcome: Untouched, MessagesTruncated: -1})
		}
	}
	if err := k.bad.err(); err != nil {
		k.leaveOut(k.report.Results, err)
	} else {
		k.run = rand.Text()
		k.sendAll(ctx)
	}
	err := k.report.incomplete(func(why string) error {
		if live, known := k.errs[why]; known {
			return live
		}
		return k.report.recorded(why)
	})
	level, message := slog.LevelInfo, "mirror topics accepted"
	attrs := []slog.Attr{slog.String("run", k.run), slog.Any("report", k.report)}
	if err != nil {
		level, message = slog.LevelWarn, "mirror topics not all accepted"
		attrs = append(attrs, slog.Any("error", err))
	}
	c.sender.Logger.LogAttrs(ctx, level, message, attrs...)
	return k.report, err
}

// sendAll sends the batches in order. An error or an Unknown topic ends the run.
func (k *call) sendAll(ctx context.Context) {
	first := Batch{ClusterID: k.report.ClusterID, Link: k.link, Verb: k.verb, Run: k.run, Pattern: k.report.Pattern}
	from := 0
	for _, b := range k.selection.batches(first, k.client.batchSize) {
		if ctx.Err() != nil {
			k.leaveOut(k.report.Results[from:], wire.Ended(ctx, "nothing was sent", nil))
			return
		}
		batch := k.newBatch(b, from)
		recorders := k.client.recorders
		if k.dryRun {
			recorders = nil
		}
		stop := k.record(ctx, recorders, batch)
		from += len(b.Topics)
		if stop != nil {
			if b.Index+1 < b.Of {
				why := wire.Because(fmt.Sprintf("not sent: batch %d of %d ended the run", b.Index+1, b.Of), stop)
				if ctx.Err() != nil && !errors.Is(stop, ctx.Err()) {
					why = wire.Join(why, wire.Ended(ctx, "the context has ended", nil))
				}
				k.leaveOut(k.report.Results[from:], why)
			}
			return
		}
	}
}

// leaveOut says why topics were not sent. Without topics the reason is a problem of the run.
func (k *call) leaveOut(results []Result, why error) {
	told := k.text(why)
	for i := range results {
		results[i].Why = told
	}
	if len(results) == 0 {
		k.problem(told)
	}
}

// text returns the text of an error for the report. The call's error keeps the error itself.
func (k *call) text(err error) string {
	k.errs[err.Error()] = err
	return err.Error()
}

// problem adds a problem of the run.
func (k *call) problem(p string) {
	if !slices.Contains(k.report.Problems, p) {
		k.report.Problems = append(k.report.Problems, p)
	}
}

// record sends a batch between the recorders' lines. The outermost recorder speaks first and last. record returns why
// no further batch should be sent, or nil.
func (k *call) record(ctx context.Context, recorders []Recorder, b *batch) error {
	if len(recorders) == 0 {
		return b.send(ctx)
	}
	told := b.Batch
	told.Topics = slices.Clone(told.Topics)
	if err := recorders[0].Sending(ctx, told); err != nil {
		where := fmt.Sprintf("not sent: the recorder refused batch %d of %d", b.Index+1, b.Of)
		err = wire.Because(where, wire.Foreign(err))
		k.leaveOut(b.results, err)
		return err
	}
	stop := k.record(ctx, recorders[1:], b)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.client.sender.Timeout)
	defer cancel()
	if err := recorders[0].Answered(last, told, b.report()); err != nil {
		err = wire.Because(fmt.Sprintf("the recorder failed after batch %d of %d", b.Index+1, b.Of), wire.Foreign(err))
		k.problem(k.text(err))
		stop = wire.Join(stop, err)
	}
	return stop
}

// batch is the share of a call in a single request, with its results.
type batch struct {
	Batch
	call    *call
	results []Result       // a part of the call's report; a pattern has results of its own
	places  map[string]int // the index of each topic in results
	rows    []int          // how many rows each of results has

	answer     answer
	unexpected []Result
	more       int  // how many unexpected rows were dropped
	illegible  bool // a pattern's answer has a row without a readable topic
	attempts   []Attempt
	problems   []string
}

func (k *call) newBatch(b Batch, from int) *batch {
	end := from + len(b.Topics)
	batch := &batch{Batch: b, call: k, results: k.report.Results[from:end:end]}
	batch.forget()
	return batch
}

// forget forgets the rows of an earlier attempt.
func (b *batch) forget() {
	b.unexpected, b.more, b.illegible, b.answer = nil, 0, false, answer{}
	b.places, b.rows = make(map[string]int, len(b.Topics)), make([]int, len(b.Topics))
	if b.Pattern != "" {
		b.results = nil
	}
	for i, topic := range b.Topics {
		b.places[topic] = i
		b.results[i] = Result{Topic: topic, Outcome: Untouched, MessagesTruncated: -1}
	}
}

// send sends the batch and gives each of its topics an outcome. send returns why no further batch should be sent, or
// nil.
func (b *batch) send(ctx context.Context) error {
	k := b.call
	row, _ := k.verb.row()
	stands, attempts := k.client.sender.Send(ctx, &wire.Request{
		Make: func(body io.Reader) (*http.Request, error) {
			build := func(server, cluster, link string) (*http.Request, error) {
				return newVerbRequest(k.verb, server, cluster, link, k.dryRun, body)
			}
			return k.client.address("/mirrors:"+string(k.verb), k.link, build)
		},
		Body: requestBody(b.Batch),
		Safe: k.dryRun, ProofOnly: row.proofOnly,
		Read: func(_ http.Header, body io.Reader) (err error) {
			b.forget()
			b.answer, err = readAnswer(body, &k.secrets, b.add)
			return err
		},
		Secrets: &k.secrets,
		Log: []slog.Attr{
			slog.String("operation", string(k.verb)), slog.Bool("dry_run", k.dryRun),
			slog.String("link", text.Line(k.link, maxText)), slog.String("run", k.run), slog.Int("batch", b.Index),
		},
	})
	for i, e := range attempts {
		a := Attempt{
			Run: b.Run, Batch: b.Index, Number: i + 1, Topics: len(b.Topics), Start: e.Start, Duration: e.Duration,
			HTTPStatus: e.Status, Date: e.Date, Code: e.Code, Message: e.Message, RequestID: e.RequestID,
			RateLimited: e.RateLimited, Assumed: e.Assumed,
		}
		if err := evidenceError(e); err != nil {
			a.Error = err.Error()
		}
		b.attempts = append(b.attempts, a)
	}
	stop := b.close(stands)
	k.report.Attempts = append(k.report.Attempts, b.attempts...)
	room := maxUnexpected - len(k.report.Unexpected)
	k.report.Unexpected = append(k.report.Unexpected, b.unexpected[:min(len(b.unexpected), room)]...)
	for _, p := range b.problems {
		k.problem(p)
	}
	if b.Pattern != "" {
		k.report.Results, k.report.Lost = b.results, !k.dryRun && b.lost(stands)
	}
	return stop
}

// maxUnexpected bounds how many unexpected rows a report keeps.
const maxUnexpected = 1000

const disagree = "the answer has rows for this topic that disagree"

// add records a row of the answer.
func (b *batch) add(row Result) {
	i, ours := b.place(&row)
	if !ours {
		if len(b.unexpected) == maxUnexpected {
			b.more++
			return
		}
		row.Lags, row.Truncations, row.MessagesTruncated = nil, nil, -1
		row.Topic = b.call.secrets.Show(row.Topic, maxText)
		b.unexpected = append(b.unexpected, row)
		return
	}
	have := &b.results[i]
	if b.rows[i]++; b.rows[i] == 1 {
		row.Topic = have.Topic
		*have = row
		return
	}
	have.note("the answer has more than one row for this topic")
	if have.Outcome != row.Outcome || have.Code != row.Code || have.Message != row.Message {
		if have.Why != disagree {
			have.noteRow(*have)
		}
		have.noteRow(row)
	}
	if have.Outcome != row.Outcome {
		have.Outcome, have.Code, have.Message, have.Why = Unknown, 0, "", disagree
	}
}

// noteRow adds a note about a row of a topic with several rows. At most 10 notes are kept.
func (r *Result) noteRow(row Result) {
	says := row.Outcome.String()
	if row.Outcome == Failed {
		says += ", " + codeAndMessage(row.Code, row.Message)
	}
	if len(r.Notes) < 10 {
		r.note("a row says " + says)
	}
}

// place returns the index of the row's Result. A row without a Result gets a note with the reason.
func (b *batch) place(row *Result) (place int, ours bool) {
	if row.Topic == "" {
		b.illegible = true
		row.note("the row has no topic name that can be read")
		return 0, false
	}
	place, known := b.places[row.Topic]
	switch covers := b.call.selection.covers; {
	case known:
		return place, true
	case b.Pattern == "":
		row.note("this topic was not asked for")
	case !isTopicName(row.Topic) || b.call.secrets.Hide(row.Topic) != row.Topic:
		b.illegible = true
		row.note("this is not a topic name")
	case covers != nil && !covers(row.Topic):
		row.note("the selection does not cover this topic")
	default:
		place = len(b.results)
		b.places[row.Topic] = place
		b.results = append(b.results, Result{Topic: row.Topic, MessagesTruncated: -1})
		b.rows = append(b.rows, 0)
		return place, true
	}
	return 0, false
}

// lost reports whether a call by pattern may have changed topics without a row.
func (b *batch) lost(stands wire.Evidence) bool {
	return stands.Proof == wire.Nothing ||
		stands.Proof == wire.Answered && (b.illegible || b.answer.next != "" || stands.Doubt != "")
}

// close gives every topic its outcome after the last request. close returns why no further batch should be sent, or
// nil.
func (b *batch) close(stands wire.Evidence) (stop error) {
	why := evidenceError(stands)
	stop = why
	if why != nil && len(b.attempts) > 1 {
		first, last := &b.attempts[0], &b.attempts[len(b.attempts)-1]
		took := last.Start.Add(last.Duration).Sub(first.Start).Round(time.Second)
		why = wire.WithText(fmt.Sprintf("%v (%d attempts in %v)", why, len(b.attempts), took), why)
	}
	told := "the answer has no row for this topic"
	if why != nil {
		told = b.call.text(why)
	}
	for i := range b.results {
		r := &b.results[i]
		switch {
		case b.rows[i] == 0:
			r.Why = told
			r.Outcome = Unknown
			if stands.Proof == wire.NotDone {
				r.Outcome = Untouched
			}
		case stands.Doubt != "" && r.Outcome == Failed:
			r.Outcome = Unknown
			r.Why = codeAndMessage(r.Code, r.Message) + "; but " + stands.Doubt
			r.note("the refusal may be the answer to a second request")
			r.Code, r.Message = 0, ""
		}
		if r.Outcome != Untouched {
			r.Sends = []Send{{Run: b.Run, Batch: b.Index, Unknown: r.Outcome == Unknown}}
		}
		if r.Outcome == Unknown && stop == nil {
			stop = errors.New("the outcome of a topic is not known")
		}
		if b.call.check != nil {
			b.call.check(r)
		}
	}
	if why != nil && (b.Pattern != "" || !slices.Contains(b.rows, 0)) { // no topic has this reason
		b.problems = append(b.problems, told)
	}
	if b.Pattern != "" && stands.Proof == wire.Answered {
		if b.illegible {
			b.problems = append(b.problems, "the answer has a row whose topic cannot be told")
		}
		if stands.Doubt != "" {
			b.problems = append(b.problems,
				stands.Doubt+", and topics that the answer leaves out may have been "+b.Verb.Past())
		}
	}
	b.problems = append(b.problems, b.answer.problems...)
	if b.more > 0 {
		b.problems = append(b.problems, fmt.Sprintf(
			"the answer has %d unexpected rows, of which the first %d are kept", b.more+maxUnexpected, maxUnexpected))
	}
	return stop
}

// report returns a report of the batch. The report shares nothing with the call's report.
func (b *batch) report() *Report {
	r := &Report{
		Verb: b.Verb, ClusterID: b.ClusterID, Link: b.Link, Pattern: b.Pattern, Lost: b.call.report.Lost,
		Results: b.results, Unexpected: b.unexpected, Attempts: b.attempts, Problems: b.problems,
	}
	return r.Clone()
}

// address makes a request with the generated function and replaces /kafka by the client's path prefix. The names of
// cluster and link must each stay a single unchanged segment of the path.
func (c *Client) address(
	path, link string, build func(server, cluster, link string) (*http.Request, error),
) (*http.Request, error) {
	r, err := build(c.server, c.clusterID, link)
	if err != nil {
		return nil, err
	}
	want := "/v3/clusters/" + url.PathEscape(c.clusterID)
	if link != "" {
		want += "/links/" + url.PathEscape(link)
	}
	want += path
	if got := r.URL.EscapedPath(); got != "/kafka"+want {
		return nil, fmt.Errorf("the request's path came out as %s", text.Quote(got))
	}
	r.URL.Path, err = url.PathUnescape(c.pathPrefix + want)
	r.URL.RawPath = c.pathPrefix + want
	return r, err
}

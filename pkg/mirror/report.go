package mirror

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// An Outcome says how a call ended for a topic, and therefore what to do next. The text forms are "unknown",
// "accepted", "failed" and "untouched".
type Outcome uint8

const (
	// Unknown says that the request may have been carried out for this topic. Look at the cluster before you send the
	// topic again.
	Unknown Outcome = iota
	// Accepted says that the server accepted the change. The change is not done yet: the topic may pass through
	// PENDING_* statuses first (observed). In a dry run the change would be accepted.
	Accepted
	// Failed says that the server refused the topic.
	Failed
	// Untouched says that nothing was done: the request was never sent or was refused as a whole. Fix the cause and
	// send the topic again.
	Untouched
)

// outcomes are all outcomes in the order of reports.
var outcomes = [...]Outcome{Accepted, Failed, Unknown, Untouched}

var outcomeNames = [...]string{Unknown: "unknown", Accepted: "accepted", Failed: "failed", Untouched: "untouched"}

// String returns the outcome's name.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

// MarshalText returns the outcome's name. MarshalText fails for an invalid outcome.
func (o Outcome) MarshalText() ([]byte, error) {
	if int(o) >= len(outcomeNames) {
		return nil, fmt.Errorf("%w: %v", ErrInvalidArgument, o)
	}
	return []byte(outcomeNames[o]), nil
}

// UnmarshalText reads an outcome's name and fails for any other text.
func (o *Outcome) UnmarshalText(name []byte) error {
	i := slices.Index(outcomeNames[:], string(name))
	if i < 0 {
		return fmt.Errorf("%w: %s is none of %s",
			ErrInvalidArgument, text.Quote(string(name)), strings.Join(outcomeNames[:], ", "))
	}
	*o = Outcome(i) //nolint:gosec // i is the index of a name
	return nil
}

// A Report accounts for everything asked of a call. A Report is plain data and belongs to the caller.
//
// The JSON form has these members and a version, which is 4. The version goes up when a reader of the old form would
// misread the new form. Unknown numbers are -1. Members ending in _ns are in nanoseconds.
type Report struct {
	// Verb, ClusterID and Link are those of the call.
	Verb      Verb   `json:"verb"`
	ClusterID string `json:"cluster_id"`
	Link      string `json:"link"`
	// DryRun says that the call was Validate. Nothing was changed, whatever the outcomes are.
	DryRun bool `json:"dry_run"`
	// Pattern is the expression sent to the server; "" for a selection by name.
	Pattern string `json:"pattern,omitempty"`
	// Results has a Result for each topic of a selection by name, in the order asked. For a pattern, Results has a
	// Result for each topic in the answer.
	Results []Result `json:"results"`
	// Lost says that a call by pattern may have changed topics without a Result.
	Lost bool `json:"lost,omitempty"`
	// Unexpected are the rows for topics not asked for and the rows without a readable topic. Their lags and
	// truncations are dropped. At most 1000 rows are kept.
	Unexpected []Result `json:"unexpected,omitempty"`
	// Problems are the problems of the run as a whole.
	Problems []string `json:"problems,omitempty"`
	// Attempts are the attempts at requests, in the order of batches and then of time.
	Attempts []Attempt `json:"attempts,omitempty"`
}

// Result is the outcome for a topic with the server's row. Texts are printable and shortened.
type Result struct {
	// Topic is the topic's name. In Report.Unexpected the name may be "".
	Topic string `json:"topic"`
	// Outcome says what to do next. Report.Settle changes it.
	Outcome Outcome `json:"outcome"`
	// Code is the row's error_code; 0 if there was none.
	Code int `json:"code,omitempty"`
	// Message is the row's error_message; "" if there was none.
	Message string `json:"message,omitempty"`
	// Why says why the topic is Unknown or Untouched; "" for the other outcomes.
	Why string `json:"why,omitempty"`
	// Lags are the partitions' lags as returned by the server, in any order and possibly with gaps. Nil means that no
	// lags were returned or none were readable. Nil does not mean a lag of 0.
	Lags []PartitionLag `json:"lags,omitempty"`
	// Truncations are the partitions' truncations as returned by the server; nil means none.
	Truncations []PartitionTruncation `json:"truncations,omitempty"`
	// MessagesTruncated is the server's own total for the topic; -1 if there was none (null and negative mean not
	// applicable: observed). The total may differ from the sum of Truncations.
	MessagesTruncated int64 `json:"messages_truncated"`
	// Notes say what was odd about the row, about other rows for the topic or about other calls.
	Notes []string `json:"notes,omitempty"`

	// Sends are the topic's requests that were answered or may have changed the topic.
	Sends []Send `json:"sends,omitempty"`
	// Settled is the finding given to Settle; "" if the outcome is the call's own.
	Settled string `json:"settled,omitempty"`
	// Done says that the topic was settled as Accepted. The topic reached the verb's goal and needs no wait.
	Done bool `json:"done,omitempty"`
}

// Send is a request's part for a single topic.
type Send struct {
	// Run is the id of the call. Batch is the index of the batch in the call, from 0.
	Run   string `json:"run"`
	Batch int    `json:"batch"`
	// Unknown says that the outcome of the request was not known. Settled says that a settlement covers the request. A
	// topic is Unknown while a Send is Unknown and not Settled, unless another Send was accepted.
	Unknown bool `json:"unknown,omitempty"`
	Settled bool `json:"settled,omitempty"`
}

// PartitionLag is how far a partition of a mirror topic is behind its source. Missing and unreadable numbers are -1.
type PartitionLag struct {
	Partition int `json:"partition"`
	// Lag is in messages.
	Lag int64 `json:"lag"`
	// LastSourceFetchOffset is the next offset to fetch. LastSourceFetchOffset is also -1 if nothing was ever fetched,
	// as for an empty partition (observed).
	LastSourceFetchOffset int64 `json:"last_source_fetch_offset"`
}

// PartitionTruncation is the truncation of a partition by the server. Only TruncateAndRestore is known to truncate.
// Missing and unreadable numbers are -1.
type PartitionTruncation struct {
	Partition         int   `json:"partition"`
	OffsetTruncatedTo int64 `json:"offset_truncated_to"`
	MessagesTruncated int64 `json:"messages_truncated"`
}

// Attempt is an attempt at a request.
type Attempt struct {
	// Run is the id of the call. Batch is the index of the batch, from 0. Number counts the attempts at the batch, from
	// 1; 0 in an UnknownReport.
	Run    string `json:"run"`
	Batch  int    `json:"batch"`
	Number int    `json:"number"`
	// Topics is how many names the request carried; 0 for a pattern.
	Topics int `json:"topics"`
	// Start is when the attempt began. Duration is the time from Start to the last byte read.
	Start    time.Time     `json:"start"`
	Duration time.Duration `json:"duration_ns"`
	// HTTPStatus is the status of the response; 0 if there was none. Date is the time of the response by the server's
	// clock; the zero time if the response had no date.
	HTTPStatus int       `json:"http_status,omitempty"`
	Date       time.Time `json:"date,omitzero"`
	// Code, Message and RequestID come from the response, as in APIError.
	Code      int    `json:"code,omitempty"`
	Message   string `json:"message,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	// RateLimited says that the rate limiter rejected the request.
	RateLimited bool `json:"rate_limited,omitempty"`
	// Assumed says that topics are Untouched by an assumption about the HTTP status, not by proof.
	Assumed bool `json:"assumed,omitempty"`
	// Error says why no answer was read to its end; "" if an answer was.
	Error string `json:"error,omitempty"`
}

// Err returns nil for an Accepted topic, a *TopicError for a Failed topic and otherwise an error with Why.
func (r Result) Err() error {
	switch r.Outcome {
	case Accepted:
		return nil
	case Failed:
		return &TopicError{Topic: r.Topic, Code: r.Code, Message: r.Message}
	}
	return fmt.Errorf("%s: %v: %s", text.Line(r.Topic, maxTopicName), r.Outcome, r.Why)
}

// AlreadyStopped reports whether the topic Failed because its mirror was already stopped; see
// TopicError.AlreadyStopped.
func (r Result) AlreadyStopped() bool {
	return r.Outcome == Failed && (&TopicError{Code: r.Code, Message: r.Message}).AlreadyStopped()
}

func (r *Result) note(note string) {
	if !slices.Contains(r.Notes, note) {
		r.Notes = append(r.Notes, note)
	}
}

// Result returns the Result of a topic and whether there is one. Result searches Results linearly.
func (r *Report) Result(topic string) (Result, bool) {
	i := slices.IndexFunc(r.Results, func(res Result) bool { return res.Topic == topic })
	if i < 0 {
		return Result{}, false
	}
	return r.Results[i], true
}

// Topics returns the names of the topics with the given outcome, in the order of Results.
func (r *Report) Topics(o Outcome) []string {
	var names []string
	for i := range r.Results {
		if r.Results[i].Outcome == o {
			names = append(names, r.Results[i].Topic)
		}
	}
	return names
}

// Count returns how many topics have the given outcome.
func (r *Report) Count(o Outcome) int {
	_, n := r.matching(func(res *Result) bool { return res.Outcome == o })
	return n
}

// matching returns the first Result for which match returns true, and how many there are.
func (r *Report) matching(match func(*Result) bool) (first *Result, n int) {
	for i := range r.Results {
		if res := &r.Results[i]; match(res) {
			if n++; n == 1 {
				first = res
			}
		}
	}
	return first, n
}

// Remaining returns the names still to be sent, in the given order: names without a Result and Untouched topics. A Lost
// report has none, since any topic may have been changed.
func (r *Report) Remaining(names ...string) []string {
	if r.Lost {
		return nil
	}
	sent := make(map[string]bool, len(r.Results))
	for i := range r.Results {
		sent[r.Results[i].Topic] = r.Results[i].Outcome != Untouched
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return sent[name] })
}

// LagSummary adds up lags.
type LagSummary struct {
	// Total is the sum in messages over the partitions with a known lag; saturates.
	Total int64
	// Partitions is the number of partitions with a known lag.
	Partitions int
	// Largest is the largest lag of a partition: Partition of Topic, the first of equal lags. All three mean nothing
	// while Partitions is 0.
	Largest   int64
	Topic     string
	Partition int
	// NeverFetched is the number of partitions without an offset: nothing was ever fetched, as for an empty partition.
	NeverFetched int
	// NotKnown is the number of partitions without a known lag.
	NotKnown int
	// Without are the topics without any known lag.
	Without []string
}

// Lag adds up the lags of all Results, whatever their outcome.
func (r *Report) Lag() LagSummary {
	var s LagSummary
	for i := range r.Results {
		s.add(r.Results[i].Topic, r.Results[i].Lags)
	}
	return s
}

func (s *LagSummary) add(topic string, lags []PartitionLag) {
	before := s.Partitions
	for _, p := range lags {
		if p.LastSourceFetchOffset < 0 {
			s.NeverFetched++
		}
		if p.Lag < 0 {
			s.NotKnown++
			continue
		}
		if s.Partitions == 0 || p.Lag > s.Largest {
			s.Largest, s.Topic, s.Partition = p.Lag, topic, p.Partition
		}
		s.Partitions++
		s.Total = addSaturating(s.Total, p.Lag)
	}
	if s.Partitions == before {
		s.Without = append(s.Without, topic)
	}
}

// TruncationSummary adds up the server's totals and, separately, the rows of single partitions. The two may differ.
type TruncationSummary struct {
	// Reported is the sum of the server's totals in messages; saturates. ReportedTopics is the number of topics with a
	// total.
	Reported       int64
	ReportedTopics int
	// Messages is the sum over the rows of partitions; saturates. A row without a number adds nothing. Partitions is
	// the number of rows. Topics is the number of topics with rows.
	Messages   int64
	Partitions int
	Topics     int
}

// Truncation adds up the truncations of all Results, whatever their outcome.
func (r *Report) Truncation() TruncationSummary {
	var s TruncationSummary
	for i := range r.Results {
		res := &r.Results[i]
		if res.MessagesTruncated >= 0 {
			s.Reported = addSaturating(s.Reported, res.MessagesTruncated)
			s.ReportedTopics++
		}
		for _, p := range res.Truncations {
			s.Messages = addSaturating(s.Messages, max(0, p.MessagesTruncated))
		}
		s.Partitions += len(res.Truncations)
		if len(res.Truncations) > 0 {
			s.Topics++
		}
	}
	return s
}

// truncated returns how many messages the topic loses, by the larger of the server's total and its rows. certain says
// whether the number is certain.
func (r *Result) truncated() (messages int64, certain bool) {
	unknown := func(p PartitionTruncation) bool { return p.MessagesTruncated < 0 }
	s := (&Report{Results: []Result{*r}}).Truncation()
	messages = max(s.Reported, s.Messages)
	return messages, s.ReportedTopics > 0 && !slices.ContainsFunc(r.Truncations, unknown) && messages < math.MaxInt64
}

// addSaturating adds two non-negative numbers.
func addSaturating(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// reportVersion is the version of the JSON form.
const reportVersion = 4

type reportFields Report // without the methods

type reportJSON struct {
	Version int    `json:"version"`
	Note    string `json:"note,omitempty"`
	reportFields
}

// MarshalJSON writes the report's members and a version.
func (r Report) MarshalJSON() ([]byte, error) {
	out := reportJSON{Version: reportVersion, reportFields: reportFields(r)}
	if r.DryRun {
		out.Note = dryRunNote
	}
	if out.Results == nil {
		out.Results = []Result{}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads the output of MarshalJSON. UnmarshalJSON fails for another version, a repeated member or a
// repeated topic, and leaves the report unchanged on failure.
func (r *Report) UnmarshalJSON(data []byte) error {
	var in reportJSON
	notKnown := jsonv2.UnmarshalFromFunc(func(_ *jsontext.Decoder, r *Result) error {
		r.MessagesTruncated = -1 // if the member is missing
		return errors.ErrUnsupported
	})
	// A repeated member is refused, since the true value is not known.
	if err := jsonv2.Unmarshal(data, &in, jsonv1.DefaultOptionsV1(), jsontext.AllowDuplicateNames(false),
		jsonv2.WithUnmarshalers(notKnown)); err != nil {
		return err
	}
	if in.Version != reportVersion {
		return fmt.Errorf("%w: the report has version %d, and this library reads version %d",
			ErrInvalidArgument, in.Version, reportVersion)
	}
	if len(placesOf(in.Results)) != len(in.Results) {
		return fmt.Errorf("%w: the report has a topic twice", ErrInvalidArgument)
	}
	*r = Report(in.reportFields)
	return nil
}

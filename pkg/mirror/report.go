package mirror

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"
)

// Number is a number that a server gave, or NotKnown.
type Number int64

// NotKnown is a number that the server did not give, or not legibly. It is part of no
// sum, and JSON has null for it.
const NotKnown Number = math.MinInt64

// MarshalJSON writes the number, or null for NotKnown.
func (n Number) MarshalJSON() ([]byte, error) {
	if n == NotKnown {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, int64(n), 10), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (n *Number) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*n = NotKnown
		return nil
	}
	return json.Unmarshal(data, (*int64)(n))
}

// PartitionLag is how far one partition of a mirror topic is behind its source.
type PartitionLag struct {
	// Partition is the partition's number; -1 if it is not known.
	Partition int `json:"partition"`
	// Lag is in messages; negative, NotKnown included, if it is not known.
	Lag Number `json:"lag"`
	// LastSourceFetchOffset is -1 where nothing has been fetched yet (observed), so that a lag of
	// 0 beside it does not prove that the mirror has caught up. It may be NotKnown.
	LastSourceFetchOffset Number `json:"last_source_fetch_offset"`
}

// UnmarshalJSON reads a lag that was kept. What is missing in it is not known.
func (p *PartitionLag) UnmarshalJSON(data []byte) error {
	type fields PartitionLag // without the method
	in := fields{Partition: -1, Lag: NotKnown, LastSourceFetchOffset: NotKnown}
	err := json.Unmarshal(data, &in)
	*p = PartitionLag(in)
	return err
}

// PartitionTruncation is what the server says it cut off one partition. Of the verbs only
// TruncateAndRestore is known to cut, so a row of these from another is worth a look.
type PartitionTruncation struct {
	// Partition is the partition's number; -1 if it is not known.
	Partition int `json:"partition"`
	// OffsetTruncatedTo is the offset that the partition was cut at; it may be NotKnown.
	OffsetTruncatedTo Number `json:"offset_truncated_to"`
	// MessagesTruncated is in messages; negative, NotKnown included, if it is not known or not
	// applicable.
	MessagesTruncated Number `json:"messages_truncated"`
}

// Result is the outcome for one topic, and what the server said about it. Its texts are printable and shortened.
type Result struct {
	// Topic is the topic's name. In Report.Unexpected it may be "", where a row has none.
	Topic string `json:"topic"`
	// Outcome says what to do next. It is not to be set by hand: Report.Settle says who found it, and how.
	Outcome Outcome `json:"outcome"`
	// Code is the row's error_code; 0 if there was none.
	Code int `json:"code,omitempty"`
	// Message is the row's error_message; "" if there was none.
	Message string `json:"message,omitempty"`
	// Lags are the partitions' lags as the server gave them: in any order, gaps and all. Nil
	// means that it gave none, or none that can be read; that is not a lag of 0.
	Lags []PartitionLag `json:"lags,omitzero"`
	// Truncations are the partitions' truncations as the server gave them; nil means none.
	Truncations []PartitionTruncation `json:"truncations,omitzero"`
	// MessagesTruncated is the server's own total for the topic; nil if it gave none (null and
	// negative mean not applicable: observed). It need not be the sum of Truncations.
	MessagesTruncated *int64 `json:"messages_truncated,omitempty"`
	// Notes say what was odd: about the row, about other rows for the topic, or about other calls.
	Notes []string `json:"notes,omitempty"`

	// Sent is when the last attempt began that may have reached the server for this topic; the zero time if
	// there was none, or it is not known.
	Sent time.Time `json:"sent,omitzero"`
	// Settled says how the outcome was found, where the call left it open; nil if it is the call's own.
	Settled *Settlement `json:"settled,omitempty"`

	cause error
}

// Settlement says how an outcome was found that the call itself left open.
type Settlement struct {
	// Why is what was found, as whoever settled it said it.
	Why string `json:"why"`
	// At is when it was settled.
	At time.Time `json:"at"`
	// From is the outcome that it had before: Unknown, or Failed where the mirror had stopped already.
	From Outcome `json:"from"`
	// Because is why it had that outcome.
	Because string `json:"because"`
}

// Err returns why the topic is not Accepted: a *TopicError if it Failed, else what happened to
// the request, often an *APIError that other topics share. It is nil for an Accepted topic.
func (r Result) Err() error {
	switch {
	case r.Outcome == Accepted:
		return nil
	case r.Outcome == Failed:
		return &TopicError{Topic: r.Topic, Code: r.Code, Message: r.Message}
	case r.cause == nil:
		return ErrOutcomeUnknown
	}
	return r.cause
}

// alreadyStopped tells whether the topic Failed since its mirror had stopped before.
func (r *Result) alreadyStopped() bool {
	return r.Outcome == Failed && (&TopicError{Code: r.Code, Message: r.Message}).AlreadyStopped()
}

func (r *Result) note(text string) {
	if !slices.Contains(r.Notes, text) {
		r.Notes = append(r.Notes, text)
	}
}

// A Report accounts for everything that a call asked for. It belongs to the caller, who
// must not share it between goroutines while changing it.
type Report struct {
	// Verb, ClusterID and Link are the call's own.
	Verb      Verb   `json:"verb"`
	ClusterID string `json:"cluster_id"`
	Link      string `json:"link"`
	// DryRun says that the call was Validate: whatever the outcomes say, nothing was changed.
	DryRun bool `json:"dry_run"`
	// Pattern is the expression that was sent; "" for a selection by name.
	Pattern string `json:"pattern,omitempty"`
	// Results has, for a selection by name, one Result a topic, in the order asked, whatever
	// happened; for a pattern, one for each topic that the server answered for.
	Results []Result `json:"results"`
	// Complete says that nothing is missing: every answer was read to its end and said that no more was
	// to come, every topic asked for by name was answered for, and the run had no error of its own.
	Complete bool `json:"complete"`
	// Unaccounted says what is known of topics that the call is about and no Result is.
	Unaccounted Unaccounted `json:"unaccounted,omitzero"`
	// Unexpected are the rows that were not asked for, and those whose topic cannot be read, without
	// their lags and truncations. At most 1000 are kept.
	Unexpected []Result `json:"unexpected,omitempty"`
	// UnexpectedCount is how many there were, kept or not.
	UnexpectedCount int `json:"unexpected_count"`
	// Next is the answer's metadata.next; "" if it was not set, as it should be. If it is set,
	// rows are missing.
	Next string `json:"next,omitempty"`

	// Attempts are the requests that were sent, or that it was tried to send, in the order of the
	// batches and then of time.
	Attempts []Attempt `json:"attempts,omitempty"`

	// unaccountedFor is why Unaccounted is UnaccountedUntouched; nil if it is not.
	unaccountedFor error
	// problems are errors of the run that no field and no Result tells.
	problems []error
	// places says where in Results each topic was when the report was made or read. Copies of the report share
	// it, so it is never changed; nil if nothing is known.
	places map[string]int
	// index is what Merge and Settle know of the report; nil before the first of them.
	index *mergeIndex
}

// mergeIndex says what is where in a report, and lasts from one merge or settlement to the next.
type mergeIndex struct {
	owner    *Report        // a copy of the report must not use it
	places   map[string]int // topic to place in Results
	open     int            // how many Results are Unknown or Untouched
	attempts map[attemptID]bool
	problems map[string]bool // their texts
	// unexpected are the outcomes that unexpected rows give topics.
	unexpected map[string][]Outcome
}

// Attempt is one attempt at sending one request.
type Attempt struct {
	// Run is the call that it belongs to, Batch the index of the batch that it sent, from 0, and Number
	// its number among the attempts at that batch, from 1.
	Run    Run `json:"run"`
	Batch  int `json:"batch"`
	Number int `json:"number"`
	// Topics is how many names it carried; 0 for a pattern.
	Topics int `json:"topics"`
	// Start is when it began, and Duration how long it took, to the last byte read.
	Start    time.Time     `json:"start"`
	Duration time.Duration `json:"duration_ns"`
	// HTTPStatus is the status of the response; 0 if there was none.
	HTTPStatus int `json:"http_status,omitempty"`
	// RequestID is the response's X-Request-Id; "" if it had none.
	RequestID string `json:"request_id,omitempty"`
	// Outcome is what the attempt proves of topics that it brought no row for: Untouched or Unknown;
	// Accepted if the answer was read to its end.
	Outcome Outcome `json:"outcome"`
	// Assumed says that Outcome rests on what is assumed of the server's status code, not on proof.
	Assumed bool `json:"assumed,omitempty"`
	// Sends is how many request bodies the library's own transport began to send. More than one is
	// the doing of middleware.
	Sends int `json:"sends"`
	// Unexpected is how many rows of the answer are in Report.Unexpected, or would be if all were kept.
	Unexpected int `json:"unexpected,omitempty"`
	// Error is why the answer was not read to its end, on one printable line; "" if it was.
	Error string `json:"error,omitempty"`
}

// attemptID is how an attempt is known.
type attemptID struct {
	run           string
	batch, number int
	start         int64 // of an attempt whose run is not known
}

// closed tells whether the report is complete, given how many of its Results are Unknown or Untouched.
func (r *Report) closed(open int) bool {
	named := r.Pattern == "" && len(r.Results) > 0
	accounted := r.Unaccounted == UnaccountedNone || r.Unaccounted == UnaccountedUntouched && named
	return r.Next == "" && len(r.problems) == 0 && accounted && open == 0 && (named || r.Pattern != "")
}

// Result returns the Result of a topic, and whether there is one. Of a report as the library returned or merged it,
// or as it was read back, it takes the same time however many topics there are, whether it is one of them or not.
// Of one that was made, copied after a Merge, or changed by hand, it looks through them all.
func (r *Report) Result(topic string) (Result, bool) {
	i, found := r.indexOf(topic)
	if !found {
		return Result{}, false
	}
	return r.Results[i], true
}

// Topics returns the names of the topics with the given outcome, in the order of Results; they
// can go into a new selection.
func (r *Report) Topics(o Outcome) []string {
	var names []string
	for i := range r.Results {
		if r.Results[i].Outcome == o {
			names = append(names, r.Results[i].Topic)
		}
	}
	return names
}

// Remaining returns those of the names that are still to be sent: the report has no Result for them, or
// nothing was done. Their order stays. It takes one pass, however many names there are. There are none if
// Unaccounted is UnaccountedUnknown, as after a call by pattern whose answer was lost: any of them may have been
// changed.
func (r *Report) Remaining(names ...string) []string {
	if r.Unaccounted == UnaccountedUnknown {
		return nil
	}
	sent := make(map[string]bool, len(r.Results))
	for i := range r.Results {
		sent[r.Results[i].Topic] = r.Results[i].Outcome != Untouched
	}
	var left []string
	for _, name := range names {
		if !sent[name] {
			left = append(left, name)
		}
	}
	return left
}

// Count returns how many topics have the given outcome.
func (r *Report) Count(o Outcome) int {
	n := 0
	for i := range r.Results {
		if r.Results[i].Outcome == o {
			n++
		}
	}
	return n
}

// FailureGroup is the Failed topics of one code.
type FailureGroup struct {
	// Code is the error_code that the rows share; 0 for those that failed by message alone.
	Code int
	// Message is that of the first of them.
	Message string
	// Topics are their names, in the order of Results.
	Topics []string
}

// Failures returns the Failed topics grouped by code, in the order in which the codes first come
// up in Results.
func (r *Report) Failures() []FailureGroup {
	var groups []FailureGroup
	at := map[int]int{}
	for i := range r.Results {
		res := &r.Results[i]
		if res.Outcome != Failed {
			continue
		}
		g, ok := at[res.Code]
		if !ok {
			g = len(groups)
			at[res.Code] = g
			groups = append(groups, FailureGroup{Code: res.Code, Message: res.Message})
		}
		groups[g].Topics = append(groups[g].Topics, res.Topic)
	}
	return groups
}

// How many rows a report keeps: of those that are unexpected, and, in its notes, of those for one topic.
const (
	maxUnexpected = 1000
	maxRows       = 10
)

// says tells whether two rows give a topic the same verdict, in the same words.
func (r Result) says(other Result) bool {
	return r.Outcome == other.Outcome && r.Code == other.Code && r.Message == other.Message
}

// verdictText says what a row says of its topic.
func (r Result) verdictText() string {
	if r.Outcome == Failed {
		return "failed, " + codeAndMessage(r.Code, r.Message)
	}
	return r.Outcome.String()
}

// withoutLists returns the row without what may be long.
func (r Result) withoutLists() Result {
	r.Lags, r.Truncations, r.MessagesTruncated = nil, nil, nil
	return r
}

// addUnexpected keeps as many of the rows as there is room for.
func (r *Report) addUnexpected(rows []Result) {
	r.Unexpected = append(r.Unexpected, rows[:max(0, min(len(rows), maxUnexpected-len(r.Unexpected)))]...)
}

// open is 1 for a topic that is not answered for, and else 0.
func (r *Result) open() int {
	if r.Outcome == Unknown || r.Outcome == Untouched {
		return 1
	}
	return 0
}

// clone returns a copy that shares nothing that a merge changes.
func (r Result) clone() Result {
	r.Notes = slices.Clone(r.Notes)
	return r
}

// deepClone returns a copy that shares nothing.
func (r Result) deepClone() Result {
	r.Lags, r.Truncations = slices.Clone(r.Lags), slices.Clone(r.Truncations)
	if r.MessagesTruncated != nil {
		r.MessagesTruncated = new(*r.MessagesTruncated)
	}
	if r.Settled != nil {
		r.Settled = new(*r.Settled)
	}
	return r.clone()
}

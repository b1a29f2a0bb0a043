package mirror

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// reportVersion is the version of the JSON form. It goes up when a reader of the old form would
// misread the new one; new members alone do not do that.
const reportVersion = 1

// The JSON form. Its names are a promise: reports are kept, and read again.
type reportJSON struct {
	Version         int             `json:"version"`
	Note            string          `json:"note,omitempty"`
	DryRun          bool            `json:"dry_run"`
	ClusterID       string          `json:"cluster_id"`
	Link            string          `json:"link"`
	Pattern         string          `json:"pattern,omitempty"`
	Complete        bool            `json:"complete"`
	Unaccounted     Unaccounted     `json:"unaccounted,omitzero"`
	UnaccountedFor  *int            `json:"unaccounted_for,omitempty"` // a cause
	Counts          map[Outcome]int `json:"counts"`
	Results         []resultJSON    `json:"results"`
	Unexpected      []resultJSON    `json:"unexpected,omitempty"`
	UnexpectedCount int             `json:"unexpected_count"`
	Next            string          `json:"next,omitempty"`
	// Causes are all there are; a result names its own by its place here, from 0.
	Attempts []Attempt   `json:"attempts,omitempty"`
	Causes   []causeJSON `json:"causes,omitempty"`
	Problems []int       `json:"problems,omitempty"`
}

type resultJSON struct {
	Topic             string           `json:"topic"`
	Outcome           Outcome          `json:"outcome"`
	Code              int              `json:"code,omitempty"`
	Message           string           `json:"message,omitempty"`
	Cause             *int             `json:"cause,omitempty"`
	Lags              []lagJSON        `json:"lags,omitzero"` // nil and empty are told apart
	Truncations       []truncationJSON `json:"truncations,omitzero"`
	MessagesTruncated *int64           `json:"messages_truncated,omitempty"`
	Notes             []string         `json:"notes,omitempty"`
}

type lagJSON struct {
	Partition             int    `json:"partition"`
	Lag                   number `json:"lag"`
	LastSourceFetchOffset number `json:"last_source_fetch_offset"`
}

type truncationJSON struct {
	Partition         int    `json:"partition"`
	OffsetTruncatedTo number `json:"offset_truncated_to"`
	MessagesTruncated number `json:"messages_truncated"`
}

// number is an int64 that is null in JSON where it is NotKnown.
type number int64

func (n number) MarshalJSON() ([]byte, error) {
	if int64(n) == NotKnown {
		return []byte("null"), nil
	}
	return json.Marshal(int64(n))
}

func (n *number) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*n = number(NotKnown)
		return nil
	}
	return json.Unmarshal(data, (*int64)(n))
}

// causeJSON is a cause that is not a topic's own refusal. Status is set for an APIError.
type causeJSON struct {
	Text        string        `json:"text"`
	Status      int           `json:"status,omitempty"`
	Code        int           `json:"code,omitempty"`
	Message     string        `json:"message,omitempty"`
	RequestID   string        `json:"request_id,omitempty"`
	RetryAfter  time.Duration `json:"retry_after_ns,omitempty"`
	RateLimited bool          `json:"rate_limited,omitempty"`
	// Kinds name the sentinels that the cause matches, of those below.
	Kinds []string `json:"kinds,omitempty"`
}

var kinds = []struct {
	name     string
	sentinel error
}{
	{"invalid_argument", ErrInvalidArgument},
	{"no_topics", ErrNoTopics},
}

// MarshalJSON writes the report in a form that has a version and stable names, and that
// UnmarshalJSON reads again.
func (r Report) MarshalJSON() ([]byte, error) {
	out := reportJSON{
		Version: reportVersion, DryRun: r.DryRun, ClusterID: r.ClusterID, Link: r.Link, Pattern: r.Pattern,
		Complete: r.Complete, Counts: map[Outcome]int{}, Results: []resultJSON{},
		UnexpectedCount: r.UnexpectedCount, Next: r.Next, Attempts: r.Attempts, Unaccounted: r.Unaccounted,
	}
	if r.DryRun {
		out.Note = dryRunNote
	}
	places := map[error]int{}
	place := func(err error) int {
		i, ok := places[err]
		if !ok {
			i = len(out.Causes)
			places[err] = i
			out.Causes = append(out.Causes, causeToJSON(err))
		}
		return i
	}
	if r.unaccountedFor != nil {
		i := place(r.unaccountedFor)
		out.UnaccountedFor = &i
	}
	for _, p := range r.problems {
		out.Problems = append(out.Problems, place(p))
	}
	for _, o := range outcomes {
		out.Counts[o] = r.Count(o)
	}
	for i := range r.Results {
		out.Results = append(out.Results, resultToJSON(&r.Results[i], place))
	}
	for i := range r.Unexpected {
		out.Unexpected = append(out.Unexpected, resultToJSON(&r.Unexpected[i], place))
	}
	return json.Marshal(out)
}

func resultToJSON(r *Result, place func(error) int) resultJSON {
	out := resultJSON{
		Topic: r.Topic, Outcome: r.Outcome, Code: r.Code, Message: r.Message,
		MessagesTruncated: r.MessagesTruncated, Notes: r.Notes,
	}
	if r.cause != nil {
		i := place(r.cause)
		out.Cause = &i
	}
	if r.Lags != nil {
		out.Lags = make([]lagJSON, len(r.Lags))
	}
	for i, p := range r.Lags {
		out.Lags[i] = lagJSON{p.Partition, number(p.Lag), number(p.LastSourceFetchOffset)}
	}
	if r.Truncations != nil {
		out.Truncations = make([]truncationJSON, len(r.Truncations))
	}
	for i, p := range r.Truncations {
		out.Truncations[i] = truncationJSON{p.Partition, number(p.OffsetTruncatedTo), number(p.MessagesTruncated)}
	}
	return out
}

func causeToJSON(err error) causeJSON {
	out := causeJSON{Text: err.Error()}
	var api *APIError
	if errors.As(err, &api) {
		out.Status, out.Code, out.Message = api.Status, api.Code, api.Message
		out.RequestID, out.RetryAfter, out.RateLimited = api.RequestID, api.RetryAfter, api.rateLimited
	}
	for _, k := range kinds {
		if errors.Is(err, k.sentinel) {
			out.Kinds = append(out.Kinds, k.name)
		}
	}
	return out
}

// UnmarshalJSON reads what MarshalJSON wrote, and makes texts printable that are not. Causes come back with their texts; of their types
// and the errors below them only APIError, ErrInvalidArgument and ErrNoTopics do. It fails for a
// form of a later version, and leaves the report as it was.
func (r *Report) UnmarshalJSON(data []byte) error {
	var in reportJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	if in.Version != reportVersion {
		return fmt.Errorf("%w: the report has version %d, and this library reads version %d", ErrInvalidArgument, in.Version, reportVersion)
	}
	causes := make([]error, len(in.Causes))
	for i, c := range in.Causes {
		causes[i] = causeFromJSON(c)
	}
	var bad error
	at := func(i int) error {
		if i < 0 || i >= len(causes) {
			bad = fmt.Errorf("%w: the report names a cause that it does not have", ErrInvalidArgument)
			return nil
		}
		return causes[i]
	}
	out := Report{
		ClusterID: in.ClusterID, Link: in.Link, DryRun: in.DryRun, Pattern: in.Pattern, Complete: in.Complete,
		Unaccounted: in.Unaccounted, UnexpectedCount: in.UnexpectedCount, Next: clean(in.Next), Attempts: in.Attempts,
	}
	for i := range out.Attempts {
		a := &out.Attempts[i]
		a.Error, a.RequestID = cleanLong(a.Error), clean(a.RequestID)
	}
	if in.UnaccountedFor != nil {
		out.unaccountedFor = at(*in.UnaccountedFor)
	}
	for _, i := range in.Problems {
		out.problems = append(out.problems, at(i))
	}
	for i := range in.Results {
		out.Results = append(out.Results, resultFromJSON(&in.Results[i], at))
	}
	for i := range in.Unexpected {
		out.Unexpected = append(out.Unexpected, resultFromJSON(&in.Unexpected[i], at))
	}
	if bad != nil {
		return bad
	}
	*r = out
	return nil
}

func resultFromJSON(in *resultJSON, at func(int) error) Result {
	r := Result{
		Topic: in.Topic, Outcome: in.Outcome, Code: in.Code, Message: clean(in.Message),
		MessagesTruncated: in.MessagesTruncated, Notes: in.Notes,
	}
	for i := range r.Notes {
		r.Notes[i] = cleanLong(r.Notes[i])
	}
	if in.Cause != nil {
		r.cause = at(*in.Cause)
	}
	if in.Lags != nil {
		r.Lags = make([]PartitionLag, len(in.Lags))
	}
	for i, p := range in.Lags {
		r.Lags[i] = PartitionLag{p.Partition, int64(p.Lag), int64(p.LastSourceFetchOffset)}
	}
	if in.Truncations != nil {
		r.Truncations = make([]PartitionTruncation, len(in.Truncations))
	}
	for i, p := range in.Truncations {
		r.Truncations[i] = PartitionTruncation{p.Partition, int64(p.OffsetTruncatedTo), int64(p.MessagesTruncated)}
	}
	return r
}

func causeFromJSON(in causeJSON) error {
	in.Text, in.Message, in.RequestID = cleanLong(in.Text), clean(in.Message), clean(in.RequestID)
	var below error
	for _, k := range kinds {
		if slices.Contains(in.Kinds, k.name) {
			below = errors.Join(below, k.sentinel)
		}
	}
	if in.Status != 0 {
		api := &APIError{
			Status: in.Status, Code: in.Code, Message: in.Message,
			RequestID: in.RequestID, RetryAfter: in.RetryAfter, rateLimited: in.RateLimited,
		}
		if api.Error() == in.Text {
			return api
		}
		below = api
	}
	return &causeError{text: in.Text, err: below}
}

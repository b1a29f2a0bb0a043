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
const reportVersion = 3

// reportJSON is the JSON form of a report: its own fields, and what stands beside them. The names are
// a promise: reports are kept, and read again.
type reportJSON struct {
	Version int    `json:"version"`
	Note    string `json:"note,omitempty"`
	reportFields
	Counts     map[Outcome]int `json:"counts"`
	Results    []resultJSON    `json:"results"`
	Unexpected []resultJSON    `json:"unexpected,omitempty"`
	// Causes are all there are; the others name theirs by its place here, from 0.
	UnaccountedFor *int        `json:"unaccounted_for,omitempty"`
	Problems       []int       `json:"problems,omitempty"`
	Causes         []causeJSON `json:"causes,omitempty"`
}

type reportFields Report // without the methods

type resultJSON struct {
	Result
	// These are the Result's own, without a method for each number, which would take most of the time.
	Lags        []lagJSON        `json:"lags,omitzero"`
	Truncations []truncationJSON `json:"truncations,omitzero"`
	Cause       *int             `json:"cause,omitempty"`
}

// lagJSON is the JSON form of a PartitionLag; nil is a number that is not known.
type lagJSON struct {
	Partition             *int   `json:"partition"`
	Lag                   *int64 `json:"lag"`
	LastSourceFetchOffset *int64 `json:"last_source_fetch_offset"`
}

func (p *PartitionLag) toJSON() lagJSON {
	return lagJSON{&p.Partition, p.Lag.pointer(), p.LastSourceFetchOffset.pointer()}
}

func (p *lagJSON) fromJSON() PartitionLag {
	return PartitionLag{orElse(p.Partition, -1), pointed(p.Lag), pointed(p.LastSourceFetchOffset)}
}

// truncationJSON is the JSON form of a PartitionTruncation; nil is a number that is not known.
type truncationJSON struct {
	Partition         *int   `json:"partition"`
	OffsetTruncatedTo *int64 `json:"offset_truncated_to"`
	MessagesTruncated *int64 `json:"messages_truncated"`
}

func (p *PartitionTruncation) toJSON() truncationJSON {
	return truncationJSON{&p.Partition, p.OffsetTruncatedTo.pointer(), p.MessagesTruncated.pointer()}
}

func (p *truncationJSON) fromJSON() PartitionTruncation {
	return PartitionTruncation{orElse(p.Partition, -1), pointed(p.OffsetTruncatedTo), pointed(p.MessagesTruncated)}
}

// pointer returns a pointer to the number, or nil if it is not known; pointed undoes it.
func (n *Number) pointer() *int64 {
	if *n == NotKnown {
		return nil
	}
	return (*int64)(n)
}

func pointed(n *int64) Number { return Number(orElse(n, int64(NotKnown))) }

func orElse[T any](p *T, other T) T {
	if p == nil {
		return other
	}
	return *p
}

// turned returns a list with each element in another form. A nil one stays nil.
func turned[A, B any](list []A, turn func(*A) B) []B {
	if list == nil {
		return nil
	}
	out := make([]B, len(list))
	for i := range list {
		out[i] = turn(&list[i])
	}
	return out
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

// causesJSON gathers causes, each of them once.
type causesJSON struct {
	all    []causeJSON
	places map[error]int
}

// place returns where the cause is; nil if there is none.
func (c *causesJSON) place(err error) *int {
	if err == nil {
		return nil
	}
	i, known := c.places[err]
	if !known {
		i = len(c.all)
		c.places[err] = i
		c.all = append(c.all, causeToJSON(err))
	}
	return &i
}

func (c *causesJSON) results(all []Result) []resultJSON {
	out := make([]resultJSON, len(all))
	for i, r := range all {
		out[i] = resultJSON{
			Result:      r,
			Lags:        turned(r.Lags, (*PartitionLag).toJSON),
			Truncations: turned(r.Truncations, (*PartitionTruncation).toJSON),
			Cause:       c.place(r.cause),
		}
	}
	return out
}

// MarshalJSON writes the report in a form that has a version and stable names, and that
// UnmarshalJSON reads again.
func (r Report) MarshalJSON() ([]byte, error) {
	causes := &causesJSON{places: map[error]int{}}
	out := reportJSON{Version: reportVersion, reportFields: reportFields(r), Counts: map[Outcome]int{}}
	if r.DryRun {
		out.Note = dryRunNote
	}
	for _, o := range outcomes {
		out.Counts[o] = r.Count(o)
	}
	out.UnaccountedFor = causes.place(r.unaccountedFor)
	for _, p := range r.problems {
		out.Problems = append(out.Problems, *causes.place(p))
	}
	out.Results, out.Unexpected = causes.results(r.Results), causes.results(r.Unexpected)
	out.Causes = causes.all
	return json.Marshal(out)
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

// UnmarshalJSON reads what MarshalJSON wrote, and makes texts printable that are not. Causes come back
// with their texts; of their types and the errors below them only APIError, ErrInvalidArgument and
// ErrNoTopics do. It fails for a form of another version, and leaves the report as it was.
func (r *Report) UnmarshalJSON(data []byte) error {
	var in reportJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	if in.Version != reportVersion {
		return fmt.Errorf("%w: the report has version %d, and this library reads version %d",
			ErrInvalidArgument, in.Version, reportVersion)
	}
	causes := make([]error, len(in.Causes))
	for i, c := range in.Causes {
		causes[i] = causeFromJSON(c)
	}
	var bad error
	at := func(i *int) error {
		switch {
		case i == nil:
			return nil
		case *i < 0 || *i >= len(causes):
			bad = fmt.Errorf("%w: the report names a cause that it does not have", ErrInvalidArgument)
			return nil
		}
		return causes[*i]
	}
	out := Report(in.reportFields)
	out.Next, out.unaccountedFor = clean(out.Next), at(in.UnaccountedFor)
	for i := range out.Attempts {
		a := &out.Attempts[i]
		a.Error, a.RequestID = cleanLong(a.Error), clean(a.RequestID)
	}
	for _, i := range in.Problems {
		out.problems = append(out.problems, at(&i))
	}
	results := func(all []resultJSON) (out []Result) {
		for _, res := range all {
			res.cause, res.Message = at(res.Cause), clean(res.Message)
			res.Result.Lags = turned(res.Lags, (*lagJSON).fromJSON)
			res.Result.Truncations = turned(res.Truncations, (*truncationJSON).fromJSON)
			if res.Settled != nil {
				res.Settled.Why, res.Settled.Because = clean(res.Settled.Why), clean(res.Settled.Because)
			}
			for i := range res.Notes {
				res.Notes[i] = cleanLong(res.Notes[i])
			}
			out = append(out, res.Result)
		}
		return out
	}
	out.Results, out.Unexpected = results(in.Results), results(in.Unexpected)
	if bad != nil {
		return bad
	}
	out.places = placesOf(out.Results)
	out.Complete = out.Complete && out.closed(out.Count(Unknown)+out.Count(Untouched))
	*r = out
	return nil
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

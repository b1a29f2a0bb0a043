package mirror

import (
	"fmt"
	"math"

	printable "github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// LagSummary adds up lags.
type LagSummary struct {
	// Total is the sum in messages over all partitions whose lag is known; it saturates.
	Total int64
	// Partitions is how many those are.
	Partitions int
	// Largest is the largest lag of one partition, which is Partition of Topic; of equal ones, the
	// first. They mean nothing while Partitions is 0.
	Largest   int64
	Topic     string
	Partition int
	// NeverFetched is how many partitions say that nothing was fetched yet.
	NeverFetched int
	// NotKnown is how many partitions were named without a lag that is known.
	NotKnown int
	// Without are the topics without any lag that is known.
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

// Lag adds up the lags of the topic's partitions.
func (r Result) Lag() LagSummary {
	var s LagSummary
	s.add(r.Topic, r.Lags)
	return s
}

func (s *LagSummary) add(topic string, lags []PartitionLag) {
	before := s.Partitions
	for _, p := range lags {
		if p.LastSourceFetchOffset == -1 {
			s.NeverFetched++
		}
		if p.Lag < 0 {
			s.NotKnown++
			continue
		}
		if s.Partitions == 0 || int64(p.Lag) > s.Largest {
			s.Largest, s.Topic, s.Partition = int64(p.Lag), topic, p.Partition
		}
		s.Partitions++
		s.Total = addSaturating(s.Total, int64(p.Lag))
	}
	if s.Partitions == before {
		s.Without = append(s.Without, topic)
	}
}

// TruncationSummary adds up truncations: what the server gives as totals, and apart from it what
// its rows say. The two need not agree.
type TruncationSummary struct {
	// Reported is the sum of the totals that the server gave, in messages, and ReportedTopics how
	// many topics it gave one for. The sum saturates.
	Reported       int64
	ReportedTopics int
	// Messages is the sum over the rows of single partitions, Partitions how many rows there are,
	// and Topics of how many topics. The sum saturates; a row without a number adds nothing.
	Messages   int64
	Partitions int
	Topics     int
}

// Truncation adds up the truncations of all Results, whatever their outcome.
func (r *Report) Truncation() TruncationSummary {
	var s TruncationSummary
	for i := range r.Results {
		topic := &r.Results[i]
		if total := topic.MessagesTruncated; total != nil && *total >= 0 {
			s.Reported = addSaturating(s.Reported, *total)
			s.ReportedTopics++
		}
		for _, p := range topic.Truncations {
			s.Messages = addSaturating(s.Messages, int64(max(0, p.MessagesTruncated)))
		}
		s.Partitions += len(topic.Truncations)
		if len(topic.Truncations) > 0 {
			s.Topics++
		}
	}
	return s
}

// Truncation adds up the truncations of the topic's partitions.
func (r Result) Truncation() TruncationSummary { return (&Report{Results: []Result{r}}).Truncation() }

// addSaturating adds two numbers that are not negative.
func addSaturating(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// String summarizes the lags on one line.
func (s LagSummary) String() string {
	text := "not known"
	if s.Partitions > 0 {
		text = fmt.Sprintf("%d messages in %s", s.Total, count(s.Partitions, "partition"))
	}
	if s.Largest > 0 {
		text += fmt.Sprintf("; the largest is %d, %s partition %d",
			s.Largest, printable.Line(s.Topic, maxTopicName), s.Partition)
	}
	if s.NeverFetched > 0 {
		text += "; " + count(s.NeverFetched, "partition") + " never fetched from"
	}
	if s.NotKnown > 0 {
		text += "; not known for " + count(s.NotKnown, "partition")
	}
	if s.Partitions > 0 && len(s.Without) > 0 {
		text += "; not known for " + count(len(s.Without), "topic")
	}
	return text
}

// String summarizes the truncations on one line.
func (s TruncationSummary) String() string {
	text := "none reported"
	if s.Partitions > 0 {
		text = fmt.Sprintf("%d messages, by the rows of %s of %s",
			s.Messages, count(s.Partitions, "partition"), count(s.Topics, "topic"))
	}
	if s.ReportedTopics > 0 {
		text += fmt.Sprintf("; the server's own total is %d for %s", s.Reported, count(s.ReportedTopics, "topic"))
	} else if s.Partitions > 0 {
		text += "; the server gives no total"
	}
	return text
}
